"""Every key in Redis: type, meaning, lifetime. Nothing else in the project names a key.

univs:admit             stream  sessions that wait for a worker, oldest first; fields `session` and `model`;
                                an entry is deleted by the claim of its session
univs:leases            zset    session id -> deadline of its worker's lease (milliseconds, server time)
univs:waiting           zset    session id -> when it is closed unless its client speaks (milliseconds);
                                holds push sessions, and sessions that were not started
univs:workers           set     ids of workers; those whose heartbeat is gone are pruned by readers
univs:worker:<id>       string  heartbeat, JSON of WorkerInfo; expires when the worker falls silent
univs:probe             string  written by the readiness check; expires after a second
univs:video:<principal>:<id>
                        string  JSON of Video; lives until the video is deleted
  ...:users             set     sessions made from the video; lives as long as the video
univs:session:<id>      hash    the session: see SESSION_FIELDS
  ...:log               stream  commands, in order; field `c`, JSON of Command; those before the snapshot are trimmed
  ...:seen              hash    prompt or request id -> digest of its command; makes a repeat harmless
  ...:objects           set     ids of the objects that have prompts and were not removed
  ...:out               stream  events; the id is `<seq>-0`, field `e`, JSON of StreamEvent; the newest
                                `results_maxlen`, older ones are in the spool file
  ...:control           stream  the newest connection to the session; the id is `<number>-0`
  ...:snapshot          hash    latest snapshot: `next_frame`, `log_id`, `seq`, `data`; deleted at the end

The keys of a session expire `results_retention_s` after its end; until then they have no expiry.
"""

ADMIT = "univs:admit"
LEASES = "univs:leases"
WAITING = "univs:waiting"
WORKERS = "univs:workers"
PROBE = "univs:probe"

# Fields of univs:session:<id>. `spec` never changes; each of the others is written by one script.
SESSION_FIELDS = (
    "spec",  # JSON of SessionSpec
    "status",  # SessionStatus
    "admit_id",  # its entry in univs:admit
    "owner",  # id of the worker that holds the lease
    "epoch",  # fencing token of the lease; grows with every claim
    "takeovers",  # claims since the last published event
    "is_started",  # 1 once a Propagate is in the log
    "next_push",  # number of pushed frames so far
    "is_input_ended",  # 1 once no frame can be pushed any more
    "num_prompts",  # prompts in the log
    "has_names",  # 1 once a configuration in the log named categories
    "last_seq",  # newest published event
    "next_frame",  # first frame without a terminal event
    "num_objects",
    "weights",  # JSON of Weights; set by the claim
    "problem",  # JSON of Problem, of a failed session
    "connections",  # number of the newest connection
)


def worker(worker_id: str) -> str:
    """Give the key of a worker's heartbeat."""
    return f"univs:worker:{worker_id}"


def video(principal: str, video_id: str) -> str:
    """Give the key of a video's record."""
    return f"univs:video:{principal}:{video_id}"


def video_users(principal: str, video_id: str) -> str:
    """Give the key of the set of sessions made from a video."""
    return f"univs:video:{principal}:{video_id}:users"


def session(session_id: str) -> str:
    """Give the key of a session's hash."""
    return f"univs:session:{session_id}"


def log(session_id: str) -> str:
    """Give the key of a session's commands."""
    return f"univs:session:{session_id}:log"


def seen(session_id: str) -> str:
    """Give the key of the prompt and request ids a session has seen."""
    return f"univs:session:{session_id}:seen"


def objects(session_id: str) -> str:
    """Give the key of the ids of a session's objects."""
    return f"univs:session:{session_id}:objects"


def out(session_id: str) -> str:
    """Give the key of a session's events."""
    return f"univs:session:{session_id}:out"


def control(session_id: str) -> str:
    """Give the key of a session's connection numbers."""
    return f"univs:session:{session_id}:control"


def snapshot(session_id: str) -> str:
    """Give the key of a session's snapshot."""
    return f"univs:session:{session_id}:snapshot"


def of_session(session_id: str) -> list[str]:
    """Give every key of a session, its hash first."""
    return [make(session_id) for make in (session, log, seen, objects, out, control, snapshot)]
