"""template.yaml: its alarms on functions, and its dashboard."""

import json
import re
from typing import Any

import pytest

from node.cloudformation import Tree, load
from node.installation import TEMPLATE as PATH
from recado import observability

TEMPLATE = load(PATH)
RESOURCES: dict[str, Tree] = TEMPLATE["Resources"]
SOURCES = PATH.parent / "layers" / "recado" / "recado"
# A function that is there only where it is asked for is no part of the line, and is not watched:
# what adds up or shows all functions could not name it.
FUNCTIONS = [
    name
    for name, it in RESOURCES.items()
    if it["Type"] == "AWS::Serverless::Function" and "Condition" not in it
]
SMPP = "${AWS::StackName}-smpp"  # what the container counts by: no function, and not always there
QUEUES = [name for name, it in RESOURCES.items() if it["Type"] == "AWS::SQS::Queue"]

# What the dashboard shows of Recado's own metrics, and who counts each.
SHOWN = {
    ("messages_accepted", "SendFunction"),
    ("messages_accepted", "BatchSendFunction"),
    ("messages_accepted", "DirectcallFunction"),
    ("messages_accepted", "BulkFunction"),
    ("messages_accepted", SMPP),
    ("submits", "DispatchFunction"),
    ("submits", SMPP),
    ("outcome_submitted", "DispatchFunction"),
    ("outcome_rejected", "DispatchFunction"),
    ("outcome_unavailable", "DispatchFunction"),
    ("outcome_uncertain", "DispatchFunction"),
    ("receipts_delivered", "TrackFunction"),
    ("reports_given", "NotifyFunction"),
    ("reports_failed", "NotifyFunction"),
    ("endpoints_stalled", "NotifyFunction"),
} | {("faults", function) for function in FUNCTIONS}


def _alarm(name: str) -> Any:
    assert RESOURCES[name]["Type"] == "AWS::CloudWatch::Alarm"
    return RESOURCES[name]["Properties"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_is_watched_for_errors(function: str) -> None:
    alarm = _alarm(function.replace("Function", "ErrorsAlarm"))
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Errors")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": function}}]
    assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("Sum", "GreaterThanThreshold")
    assert alarm["Threshold"] == 0


def _summed(name: str) -> dict[str, tuple[str, str, str]]:
    """What an alarm adds up: namespace, metric and dimension by function."""
    alarm = _alarm(name)
    total, *parts = alarm["Metrics"]
    assert total["Expression"] == "SUM(METRICS())"
    assert "ReturnData" not in total
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    found = {}
    for part in parts:
        assert (part["ReturnData"], part["MetricStat"]["Stat"]) == (False, "Sum")
        metric = part["MetricStat"]["Metric"]
        [dimension] = metric["Dimensions"]
        told = (metric["Namespace"], metric["MetricName"], dimension["Name"])
        found[dimension["Value"]["Ref"]] = told
    return found


def test_all_functions_together_are_watched_for_throttles() -> None:
    expected = ("AWS/Lambda", "Throttles", "FunctionName")
    assert _summed("ThrottlesAlarm") == dict.fromkeys(FUNCTIONS, expected)


def test_faults_that_are_answered_with_500_are_watched_for_where_customers_come_in() -> None:
    expected = (observability._NAMESPACE, "faults", "service")
    front = ("Send", "BatchSend", "Directcall", "Bulk", "Query")
    assert _summed("FaultsAlarm") == {f"{name}Function": expected for name in front}


@pytest.mark.parametrize(
    "alarm", [name for name, it in RESOURCES.items() if it["Type"] == "AWS::CloudWatch::Alarm"]
)
def test_an_alarm_says_what_it_means_and_silence_is_none(alarm: str) -> None:
    assert _alarm(alarm)["AlarmDescription"]
    # But for the one that counts who is there: nobody may mean that nothing is counted.
    silence = "breaching" if alarm == "SmppTasksAlarm" else "notBreaching"
    assert _alarm(alarm)["TreatMissingData"] == silence


def _series() -> set[tuple[str, str, str, str]]:
    """Namespace, metric, dimension and its value of all that the dashboard shows."""
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found = set()
    for widget in json.loads(body)["widgets"]:
        before: list[str] = []
        for metric in widget["properties"]["metrics"]:
            names = [part for part in metric if isinstance(part, str)]
            before = [*before[:-1], *names[1:]] if names[0] == "..." else names
            namespace, name, dimension, value = before
            found.add((namespace, name, dimension, value))
    return found


def test_the_dashboard_shows_every_queue_and_its_dead_letters() -> None:
    waiting = "ApproximateNumberOfMessagesVisible"
    expected = {("AWS/SQS", waiting, "QueueName", f"${{{name}.QueueName}}") for name in QUEUES}
    expected |= {
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", f"${{{name}.QueueName}}")
        for name in QUEUES
        if not name.endswith("DeadQueue")
    }
    assert {series for series in _series() if series[0] == "AWS/SQS"} == expected


def test_the_dashboard_shows_errors_duration_and_throttles_of_every_function() -> None:
    of_functions = {series for series in _series() if series[0] == "AWS/Lambda"}
    assert {series for series in of_functions if not series[1].startswith("Url")} == {
        ("AWS/Lambda", metric, "FunctionName", f"${{{function}}}")
        for metric in ("Errors", "Duration", "Throttles")
        for function in FUNCTIONS
    }


def test_the_dashboard_shows_what_the_api_answers() -> None:
    shown = {series[1] for series in _series() if series[0] == "AWS/ApiGateway"}
    assert shown == {"Count", "4xx", "5xx", "Latency"}


def test_the_dashboard_shows_what_a_function_with_a_url_of_its_own_answers() -> None:
    assert {series for series in _series() if series[1].startswith("Url")} == {
        ("AWS/Lambda", metric, "FunctionName", f"${{{function}}}")
        for metric in ("UrlRequestCount", "Url4xxCount", "Url5xxCount")
        for function in FUNCTIONS
        if "FunctionUrlConfig" in RESOURCES[function]["Properties"]
    }


def test_the_dashboard_shows_recados_own_metrics_by_the_function_that_counts_them() -> None:
    assert {series for series in _series() if not series[0].startswith("AWS/")} == {
        (observability._NAMESPACE, metric, "service", who if who == SMPP else f"${{{who}}}")
        for metric, who in SHOWN
    }


@pytest.mark.parametrize("metric", sorted({metric for metric, _ in SHOWN}))
def test_a_metric_on_the_dashboard_is_one_that_the_code_counts(metric: str) -> None:
    counted = set()
    for source in SOURCES.rglob("*.py"):
        counted |= set(re.findall(r'\bcount\(f?"([^"]+)"', source.read_text()))
    patterns = [re.sub(r"\\\{.*\\\}", r"\\w+", re.escape(name)) for name in counted]
    assert any(re.fullmatch(pattern, metric) for pattern in patterns)
