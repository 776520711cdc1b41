"""A verdict as JUnit XML, which CI servers show: a test case per check, in a suite per level."""

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from parity.report.levels import by_level
from parity.verdict import Check, Verdict


def xml(experiment: str, verdict: Verdict) -> bytes:
    """The document; a check that was not judged is skipped, and a failed preflight is an error."""
    document = JUnitXml(f"{experiment}: {verdict.verdict}")
    for level, checks in by_level(verdict):
        suite = TestSuite(level)
        suite.add_testcases([case(experiment, check) for check in checks])
        document.add_testsuite(suite)
    return document.tostring()


def case(experiment: str, check: Check) -> TestCase:
    """One check."""
    made = TestCase(check.name, classname=f"{experiment}.{check.level}")
    text = f"{check.where}: {check.reason}" if check.where else check.reason
    if check.follows is not None:
        text = f"follows from {check.follows}: {text}"
    if check.result == "failed":
        made.result = [Error(text) if check.level == "preflight" else Failure(text)]
    elif check.result == "not_judged":
        made.result = [Skipped(text)]
    return made
