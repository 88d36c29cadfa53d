"""For who runs the service: whether it lives, whether it can be given work, and how it does."""

from __future__ import annotations

from pathlib import Path

from medground.serving.access.scope import Scope
from tests.serving.http.answers import post
from tests.serving.running import Running, film, running


def test_it_lives(house: Running) -> None:
    answer = house.anybody().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_is_ready_if_every_part_is(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        house.service.ready.update(database=lambda: "", model=lambda: "")
        answer = house.anybody().get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert set(answer.json()["parts"].values()) == {"ok"}
        house.service.ready["model"] = lambda: "has ended"
        answer = house.anybody().get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert answer.json()["parts"]["model"] == "has ended"
        assert answer.json()["parts"]["database"] == "ok"
        assert house.anybody().get("/healthz").status_code == 200


def test_metrics(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        house.line(post(house.client(), film(tmp_path, 1)))  # it is counted before it is logged
        post(house.client(), b"x", url="/v1/studies")
        house.anybody().get("/v1/studies")
        answer = house.client(Scope.ADMIN).get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = answer.text.splitlines()
        assert 'medground_jobs{state="done"} 1.0' in lines
        assert 'medground_jobs{state="queued"} 0.0' in lines
        assert 'medground_instances_total{origin="http",outcome="accepted"} 1.0' in lines
        assert 'medground_instances_total{origin="http",outcome="refused"} 1.0' in lines
        assert 'medground_refusals_total{reason="missing"} 1.0' in lines
        assert "medground_images_read 1.0" in lines
        assert 'medground_http_requests_total{method="POST",route="/v1/ground",status="200"} 1.0' in lines
