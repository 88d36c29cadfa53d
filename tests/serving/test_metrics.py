"""What Prometheus reads."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from medground.serving.metrics import Metrics
from medground.serving.model import SharedReader
from tests.inference.blob_reader import BlobReader


def samples(metrics: Metrics, **jobs: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.text(jobs).decode()
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_what_is_counted_is_told() -> None:
    metrics = Metrics()
    metrics.requests.labels(route="/v1/ground", method="POST", status="200").inc()
    metrics.seconds.labels(route="/v1/ground").observe(0.3)
    metrics.instances.labels(origin="http", outcome="accepted").inc(3)
    metrics.refusals.labels(reason="expired").inc()
    found = samples(metrics, queued=2, done=5)
    labels = (("method", "POST"), ("route", "/v1/ground"), ("status", "200"))
    assert found["medground_http_requests_total", labels] == 1
    assert found["medground_instances_total", (("origin", "http"), ("outcome", "accepted"))] == 3
    assert found["medground_refusals_total", (("reason", "expired"),)] == 1
    assert found["medground_jobs", (("state", "queued"),)] == 2
    assert found["medground_jobs", (("state", "done"),)] == 5
    assert found["medground_http_seconds_bucket", (("le", "0.25"), ("route", "/v1/ground"))] == 0
    assert found["medground_http_seconds_bucket", (("le", "0.5"), ("route", "/v1/ground"))] == 1


def test_states_are_told_as_they_are_now() -> None:
    metrics = Metrics()
    assert samples(metrics, queued=2)["medground_jobs", (("state", "queued"),)] == 2
    assert samples(metrics, queued=0)["medground_jobs", (("state", "queued"),)] == 0


def test_two_processes_parts_count_by_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.refusals.labels(reason="expired").inc()
    assert ("medground_refusals_total", (("reason", "expired"),)) not in samples(other)


def test_what_the_model_has_read() -> None:
    metrics, shared = Metrics(), SharedReader(BlobReader())
    metrics.follow(shared)
    assert samples(metrics)["medground_images_read", ()] == 0
    shared.images, shared.batches = 12, 3
    found = samples(metrics)
    assert (found["medground_images_read", ()], found["medground_batches_read", ()]) == (12, 3)
    shared.close()
