"""Every path below the data folder, which gateway and workers share.

<data_dir>/<principal>/videos/<sha256>/video        the uploaded bytes; present means complete
<data_dir>/<principal>/incoming/                    uploads under way, one file each
<data_dir>/sessions/<id>/results.ndjson             every event, line n is the event with seq n
<data_dir>/sessions/<id>/exports/                   the results in other formats, made when they are asked for
<data_dir>/weights/<name>.safetensors               weights that sessions may ask for by name, unless set elsewhere
<data_dir>/sessions/<id>/frames/<frame>.<encoding>  pushed frames, kept until a snapshot covers them
"""

from pathlib import Path


def video_folder(data_dir: Path, principal: str, video_id: str) -> Path:
    """Give the folder of one stored video."""
    return data_dir / principal / "videos" / video_id


def video_file(data_dir: Path, principal: str, video_id: str) -> Path:
    """Give the file of one stored video."""
    return video_folder(data_dir, principal, video_id) / "video"


def incoming_folder(data_dir: Path, principal: str) -> Path:
    """Give the folder where uploads are written until they are complete."""
    return data_dir / principal / "incoming"


def sessions_folder(data_dir: Path) -> Path:
    """Give the folder that holds a folder for each session."""
    return data_dir / "sessions"


def session_folder(data_dir: Path, session_id: str) -> Path:
    """Give the folder of one session."""
    return sessions_folder(data_dir) / session_id


def results_file(data_dir: Path, session_id: str) -> Path:
    """Give the file of a session's events, one line each."""
    return session_folder(data_dir, session_id) / "results.ndjson"


def exports_folder(data_dir: Path, session_id: str) -> Path:
    """Give the folder of a session's results in other formats."""
    return session_folder(data_dir, session_id) / "exports"


def frames_folder(data_dir: Path, session_id: str) -> Path:
    """Give the folder of a session's pushed frames."""
    return session_folder(data_dir, session_id) / "frames"


def frame_name(frame_index: int, encoding: str) -> str:
    """Give the file name of a pushed frame inside the session's frames folder."""
    return f"{frame_index:09d}.{encoding}"
