"""Metrics for Prometheus: counts and times by route, state and kind; no label ever holds anything from a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Counting(Protocol):
    """A model that counts what it reads."""

    images: int
    batches: int


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "medground_http_requests", "HTTP requests", ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "medground_http_seconds", "Time of HTTP requests", ["route"], buckets=_SECONDS, registry=registry
        )
        self.instances = Counter(
            "medground_instances", "Image objects that came in", ["origin", "outcome"], registry=registry
        )
        self.refusals = Counter("medground_refusals", "Who was not let in", ["reason"], registry=registry)
        self.jobs = Gauge("medground_jobs", "Jobs in each state", ["state"], registry=registry)
        self.images_read = Gauge("medground_images_read", "Images that the model has read", registry=registry)
        self.batches_read = Gauge("medground_batches_read", "Batches that the model has read", registry=registry)

    def follow(self, reader: Counting) -> None:
        """Report what a model of this process has read."""
        self.images_read.set_function(lambda: reader.images)
        self.batches_read.set_function(lambda: reader.batches)

    def text(self, jobs: Mapping[str, int]) -> bytes:
        """In the text format of Prometheus.

        Args:
            jobs: how many are in each state.
        """
        for state, count in jobs.items():
            self.jobs.labels(state=state).set(count)
        return generate_latest(self._registry)
