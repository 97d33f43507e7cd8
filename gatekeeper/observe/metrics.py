"""The metrics of the service, in Prometheus' naming; ARCHITECTURE.md lists every one (a test holds the two together).

Children of labelled metrics are made once and kept: asking `labels()` for every scan costs more than the count.
"""

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["REGISTRY", "Metrics", "metrics"]

REGISTRY = CollectorRegistry()
_LATENCY = (
    0.0005,
    0.001,
    0.002,
    0.003,
    0.005,
    0.0075,
    0.01,
    0.015,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
)


class Metrics:
    """Every metric the service has."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._messages = Counter(
            "gatekeeper_messages_total", "Messages taken, by channel.", ["channel"], registry=registry
        )
        self._decisions = Counter(
            "gatekeeper_decisions_total",
            "Decisions made, by verdict and the reason shown.",
            ["verdict", "reason"],
            registry=registry,
        )
        self._refused = Counter(
            "gatekeeper_refused_messages_total", "Messages refused, by code.", ["code"], registry=registry
        )
        self._changes = Counter(
            "gatekeeper_changes_total", "Changes handled, by outcome.", ["outcome"], registry=registry
        )
        self._commands = Counter(
            "gatekeeper_commands_total",
            "Commands to gates, by kind, and whether they were sent or dropped.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._alarms = Counter(
            "gatekeeper_alarms_total",
            "What somebody must look at at once, by reason.",
            ["code"],
            registry=registry,
        )
        self._expired = Counter(
            "gatekeeper_expired_total",
            "What went because its period was over, by kind of data.",
            ["what"],
            registry=registry,
        )
        self._witness_requests = Counter(
            "gatekeeper_witness_requests_total",
            "Questions to witnesses, by witness and outcome.",
            ["witness", "outcome"],
            registry=registry,
        )
        self._witness_cosigned_at = Gauge(
            "gatekeeper_witness_cosigned_timestamp_seconds",
            "When a witness last cosigned the site's log.",
            ["witness"],
            registry=registry,
        )
        self.witnessed_size = Gauge(
            "gatekeeper_witnessed_size",
            "Entries of the site's log that the quorum of witnesses has cosigned.",
            registry=registry,
        )
        self.repeated = Counter(
            "gatekeeper_repeated_messages_total", "Messages that were known already.", registry=registry
        )
        self.entries = Counter("gatekeeper_entries_total", "Entries committed to the log.", registry=registry)
        self.commits = Counter("gatekeeper_commits_total", "Batches committed.", registry=registry)
        self.commit_retries = Counter(
            "gatekeeper_commit_retries_total",
            "Commits repeated because the database was away.",
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "gatekeeper_commit_seconds", "Time a batch took to commit.", buckets=_LATENCY, registry=registry
        )
        self.decision_seconds = Histogram(
            "gatekeeper_decision_seconds",
            "From a scan's arrival to its answer's departure.",
            buckets=_LATENCY,
            registry=registry,
        )
        self.intake_depth = Gauge(
            "gatekeeper_intake_depth", "Messages that wait to be verified.", registry=registry
        )
        self.log_size = Gauge("gatekeeper_log_size", "Entries in the site's log.", registry=registry)
        self.checkpoint_size = Gauge(
            "gatekeeper_checkpoint_size", "Size of the last signed checkpoint.", registry=registry
        )
        self._timestamps = Counter(
            "gatekeeper_timestamps_total",
            "Time stamps of checkpoints asked for, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.timestamped_size = Gauge(
            "gatekeeper_timestamped_size",
            "Size of the site's tree that an authority stamped last.",
            registry=registry,
        )
        self.broker_connected = Gauge(
            "gatekeeper_broker_connected", "Whether the broker is there (1) or not (0).", registry=registry
        )
        self.gates_silent = Gauge(
            "gatekeeper_gates_silent", "Gates that are not heard any more.", registry=registry
        )
        self.site_owned = Gauge(
            "gatekeeper_site_owned",
            "Whether this engine owns its site (1) or stands by (0).",
            registry=registry,
        )
        self._snapshot_bytes = Gauge(
            "gatekeeper_snapshot_bytes",
            "Bytes of the newest snapshot by which a gate decides when it is alone.",
            ["gate"],
            registry=registry,
        )
        self.snapshots_failed = Counter(
            "gatekeeper_snapshots_failed_total",
            "Times that no snapshots could be made for gates: they decide by older ones, for as long as their zones let them.",
            registry=registry,
        )
        self.epoch = Gauge("gatekeeper_epoch", "The epoch under which the site is owned.", registry=registry)
        self.watch_position = Gauge(
            "gatekeeper_watch_position",
            "Entries, over all trees, that this round of the integrity watch has compared.",
            registry=registry,
        )
        self.watch_rounds = Counter(
            "gatekeeper_watch_rounds_total", "Rounds that the integrity watch has ended.", registry=registry
        )
        self.watch_round_seconds = Gauge(
            "gatekeeper_watch_round_seconds", "How long the last ended round took.", registry=registry
        )
        self.watch_mismatches = Gauge(
            "gatekeeper_watch_mismatches",
            "Places of the log that were found altered since the engine started.",
            registry=registry,
        )
        self._outward = Counter(
            "gatekeeper_outward_messages_total",
            "Messages to those who integrate with the site, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.outward_position = Gauge(
            "gatekeeper_outward_position",
            "Entries of the log that are told to those who integrate with the site.",
            registry=registry,
        )
        self.outward_connected = Gauge(
            "gatekeeper_outward_connected",
            "Whether the broker for outward events is there (1) or not (0).",
            registry=registry,
        )
        self.message = cache(self._messages.labels)
        self.decision: Callable[[str, str], Counter] = cache(self._decisions.labels)
        self.refused: Callable[[str], Counter] = cache(self._refused.labels)
        self.command: Callable[[str, str], Counter] = cache(self._commands.labels)
        self.change: Callable[[str], Counter] = cache(self._changes.labels)
        self.witness_request: Callable[[str, str], Counter] = cache(self._witness_requests.labels)
        self.witness_cosigned_at: Callable[[str], Gauge] = cache(self._witness_cosigned_at.labels)
        self.timestamp: Callable[[str], Counter] = cache(self._timestamps.labels)
        self.outward: Callable[[str], Counter] = cache(self._outward.labels)
        self.alarm: Callable[[str], Counter] = cache(self._alarms.labels)
        self.snapshot_bytes: Callable[[str], Gauge] = cache(self._snapshot_bytes.labels)
        self.expired: Callable[[str], Counter] = cache(self._expired.labels)


metrics = Metrics(REGISTRY)
