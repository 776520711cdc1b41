"""The findings on a user's pair as JUnit XML: a test case per question, in a suite per level."""

from collections.abc import Sequence

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from parity.ports.findings import LEVELS, Finding


def xml(verdict: str, findings: Sequence[Finding]) -> bytes:
    """The document; what was not judged is skipped."""
    document = JUnitXml(f"check: {verdict}")
    for level in LEVELS:
        cases = [case(finding) for finding in findings if finding.level == level]
        if cases:
            suite = TestSuite(level)
            suite.add_testcases(cases)
            document.add_testsuite(suite)
    return document.tostring()


def case(finding: Finding) -> TestCase:
    """One question."""
    made = TestCase(finding.name, classname=f"check.{finding.level}")
    if finding.result == "failed":
        apart = f": {finding.measured:.3g} apart, {finding.bound:.2g} allowed" if finding.bound is not None else ""
        made.result = [Failure(f"{finding.reason}{apart}")]
    elif finding.result == "not_judged":
        made.result = [Skipped(finding.reason)]
    return made
