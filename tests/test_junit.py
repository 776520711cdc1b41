"""The JUnit document holds every check, as CI servers count them."""

from dataclasses import replace

import pytest
from junitparser import JUnitXml

from parity import compare
from parity.report.junit import xml
from parity.verdict import judge


def counts(document):
    suites = list(document)
    return {kind: sum(getattr(suite, kind) for suite in suites) for kind in ("tests", "failures", "errors", "skipped")}


def test_a_case_per_check(clean_pair, tmp_path):
    path = tmp_path / "folder" / "checks.xml"
    folders = [str(recorded.folder) for recorded in clean_pair]
    assert compare.main([*folders, "--junit", str(path), "--quiet"]) == 0
    document = JUnitXml.fromfile(str(path))
    checks = judge(*clean_pair).checks
    assert [suite.name for suite in document] == list(dict.fromkeys(check.level for check in checks))
    assert [case.name for suite in document for case in suite] == [check.name for check in checks]
    skipped = sum(check.result == "not_judged" for check in checks)
    assert counts(document) == {"tests": len(checks), "failures": 0, "errors": 0, "skipped": skipped}


@pytest.mark.parametrize(("name", "kind"), [("consumed/labels", "failures"), ("order", "errors")])
def test_failures_and_errors_are_counted(name, kind, clean_pair):
    ours, theirs = clean_pair
    if kind == "failures":
        theirs = replace(theirs, trace={**theirs.trace, name: theirs.trace[name] + 1})
    else:
        theirs = replace(theirs, manifest=replace(theirs.manifest, digests={**theirs.manifest.digests, name: "f"}))
    document = JUnitXml.fromstring(xml("mnist_relu", judge(ours, theirs)))
    assert counts(document)[kind] == 1
