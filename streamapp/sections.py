"""What can be set, a class per section of the settings file. Every field has its default and its meaning."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    SecretStr,
    model_validator,
)

from streamapp.choices import (
    Backend,
    DecoderPlace,
    DeviceChoice,
    Https,
    Precision,
    Profile,
    ScreenRuntime,
)
from streamapp.faces import Mode

PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""RFC 1918, RFC 6598 (carriers and VPNs), RFC 4193."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    host: str = Field(
        "127.0.0.1", description="Address to listen on. Anything but loopback needs a token: `streamapp token create`."
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="TCP port; 0 takes a free one.")
    token_file: Path = Field(
        Path("keys/tokens.json"),
        description="Who may use the server. Once the file is there, every request needs a token: docs/security.md.",
    )
    https: Https = Field(
        Https.OFF,
        description="auto: over TLS, with a certificate that the server makes and signs itself at the first start. "
        "Browsers give cameras to pages over https only, unless they come from this machine.",
    )
    tls_cert: Path | None = Field(None, description="PEM file of a certificate, with its chain, to use instead.")
    tls_key: Path | None = Field(None, description="PEM file of the key of `tls_cert`, without a passphrase.")
    certificate_dir: Path = Field(Path("keys/https"), description="Where the server keeps the certificate it made.")
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("localhost", "127.0.0.1", "[::1]"),
        description="Host names by which the server may be addressed (DNS rebinding guard), besides `host` and, where "
        "other machines reach it, this machine's own names and addresses.",
    )
    allowed_origins: tuple[str, ...] = Field(
        (), description="Further origins (scheme://host:port) whose pages may use the API; the server's own always may."
    )
    media_dirs: tuple[Path, ...] = Field(
        (), description="Folders whose video files may be opened as `file:NAME` over HTTP."
    )
    keep_streams: bool = Field(
        True, description="Start the streams that were added over HTTP again when the server starts."
    )
    streams_file: Path = Field(
        Path("keys/streams.json"),
        description="Where they are kept, with the passwords of cameras; readable by its owner only.",
    )
    workers: Annotated[int, Field(ge=0, le=64)] = Field(
        0,
        description="Processes over which streams and pictures are spread; the models then have one of their own, too. "
        "0: everything runs in one. Linux.",
    )
    max_streams: Annotated[int, Field(ge=1)] = Field(16, description="Streams added with POST /streams, at most.")
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(10_000_000, description="Largest request body.")
    max_image_pixels: Annotated[int, Field(ge=1, le=89_000_000)] = Field(
        40_000_000, description="Pictures with more pixels are refused before they are decoded."
    )
    max_image_requests: Annotated[int, Field(ge=1)] = Field(
        16, description="Pictures being received, decoded or analysed at once; further ones are refused with 503."
    )

    @model_validator(mode="before")
    @classmethod
    def _explain_what_is_gone(cls, given: object) -> object:
        if isinstance(given, dict) and "allow_remote" in given:
            raise ValueError(
                "allow_remote is gone: other machines are let in by tokens; remove it and run "
                "`streamapp token create --name NAME`"
            )
        return given

    @model_validator(mode="after")
    def _one_certificate(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.tls_cert is not None and self.https is Https.AUTO:
            raise ValueError("https = auto makes a certificate, and tls_cert names one; choose")
        return self


class DemoSettings(_Section):
    enabled: bool = Field(
        True, description="Serve the demo page at /demo, where streamapp[demo] is installed and the host is loopback."
    )
    max_clip_bytes: Annotated[int, Field(ge=100_000)] = Field(
        100_000_000, description="Largest video file that can be handed in there; on disk there is room for six."
    )
    max_clip_s: Annotated[float, Field(gt=0)] = Field(60.0, description="Of a longer clip, the beginning is analysed.")
    max_clips: Annotated[int, Field(ge=1, le=16)] = Field(2, description="Clips analysed at once; others wait.")
    kept_s: Annotated[float, Field(ge=10)] = Field(
        600.0, description="What was handed in, and what came of it, is removed after this."
    )


class IceServer(_Section):
    urls: tuple[str, ...] = Field(description="stun: or turn: addresses.")
    username: str | None = Field(None, description="TURN user name.")
    credential: SecretStr | None = Field(None, description="TURN password.")


class WebRtcSettings(_Section):
    ice_servers: tuple[IceServer, ...] = Field(
        (), description="STUN and TURN servers; none by default, so nothing leaves the network."
    )
    announced_addresses: tuple[IPvAnyAddress, ...] = Field(
        (),
        description="Addresses by which peers reach this server, told to them in place of its own, where something in "
        "between forwards its UDP ports unchanged: a container's published ports, a router. Unset: its own.",
    )
    max_sessions: Annotated[int, Field(ge=1)] = Field(8, description="Publishing browsers (WHIP) at once.")
    max_viewers: Annotated[int, Field(ge=1)] = Field(32, description="Playing browsers (WHEP) at once.")
    handshake_timeout_s: Annotated[float, Field(gt=0)] = Field(
        10.0, description="A session not connected by then is closed."
    )
    idle_timeout_s: Annotated[float, Field(gt=0)] = Field(
        10.0, description="A publisher that sends no media for so long is closed."
    )
    max_sdp_bytes: Annotated[int, Field(ge=1024)] = Field(65536, description="Largest SDP offer.")
    max_media_sections: Annotated[int, Field(ge=1)] = Field(4, description="m-lines in an offer, at most.")
    max_candidates: Annotated[int, Field(ge=1)] = Field(32, description="ICE candidates of a peer, at most.")
    video_bitrate: Annotated[int, Field(ge=100_000)] = Field(
        2_500_000, description="Highest bit rate of video encoded by this server, bit/s; small pictures take less."
    )


class SourceSettings(_Section):
    open_timeout_s: Annotated[float, Field(gt=0)] = Field(
        5.0, description="An RTSP source must answer within this time."
    )
    read_timeout_s: Annotated[float, Field(gt=0)] = Field(
        5.0, description="An RTSP source silent for so long is reopened."
    )
    verify_tls: bool = Field(
        False, description="Check the certificate of rtsps:// sources; few cameras have one that passes."
    )
    backoff_s: tuple[float, ...] = Field(
        (1.0, 2.0, 5.0, 10.0, 30.0), description="Waits before reconnecting; the last repeats."
    )
    backoff_jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2, description="Each wait is changed at random by up to this fraction."
    )
    max_pixels: Annotated[int, Field(ge=1)] = Field(3840 * 2160, description="Larger pictures are refused.")
    decoder: DecoderPlace = Field(
        DecoderPlace.PROCESS,
        description="Where network cameras are decoded: in a confined process for each, or in a thread of the app. "
        "Processes need Linux; elsewhere it is always a thread.",
    )
    decoder_memory_mb: Annotated[int, Field(ge=16)] = Field(
        1024, description="Address space that such a process may take to decode; beyond, it is ended and started anew."
    )
    allowed_networks: tuple[IPvAnyNetwork, ...] = Field(
        tuple(map(ip_network, PRIVATE_NETWORKS)),
        description="Where cameras that are added over HTTP may be; by default the private networks, and neither this "
        "machine (127.0.0.0/8, ::1/128) nor the internet (0.0.0.0/0, ::/0).",
    )


class PipelineSettings(_Section):
    mode: Mode = Field(Mode.FAST, description="Default mode of a stream.")
    min_score: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Faces the detector is less sure of are left out."
    )
    max_coast_s: Annotated[float, Field(ge=0)] = Field(0.7, description="A track not seen for longer is ended.")
    confirm_hits: Annotated[int, Field(ge=1)] = Field(
        2, description="A track is reported once it was seen in so many frames."
    )


class ModelSettings(_Section):
    dir: Path = Field(Path("models"), description="Where weights are kept.")
    mirror: str | None = Field(None, description="Folder or http(s) URL with model files by name, asked first.")
    screener: str | None = Field(
        None, description="Variant that screens every frame; unset: the first installed one of the manifest."
    )
    runtime: ScreenRuntime = Field(
        ScreenRuntime.LITERT, description="What runs the screening net: LiteRT, or MediaPipe's own face detector."
    )
    profile: Profile = Field(
        Profile.AUTO, description="Which variant serves each task; auto: by device and by what is installed."
    )
    backend: Backend = Field(
        Backend.ONNXRUNTIME,
        description="What runs the analysis models: ONNX Runtime, or OpenVINO, which needs streamapp[openvino].",
    )
    precision: Precision = Field(
        Precision.F32, description="In what OpenVINO computes; bf16 is faster, and its answers differ a little."
    )
    graph_cache: Path | None = Field(
        None, description="Folder for optimised graphs: large models then load in less memory. Unset: none are kept."
    )


class SchedulerSettings(_Section):
    device: DeviceChoice = Field(
        DeviceChoice.AUTO,
        description="Where the analysis models run; auto: on an NVIDIA GPU if there is one and streamapp[gpu] is used.",
    )
    lanes: Annotated[int | None, Field(ge=1, le=64)] = Field(
        None, description="Models that run at once; unset: one on a GPU, else one per processor core."
    )
    device_id: Annotated[int, Field(ge=0)] = Field(0, description="Which GPU, as CUDA numbers them.")
    device_ids: tuple[int, ...] = Field(
        (),
        description="Several GPUs, by number, instead of `device_id`; each has the budget, reserve and lanes set here.",
    )
    process: bool = Field(
        False,
        description="Run the models in a process of their own, which is started again if a model's library takes it "
        "down; streams go on meanwhile. Linux.",
    )
    budget_mb: Annotated[int | None, Field(ge=1)] = Field(
        None, description="Memory the models may take, in MB of a million bytes; unset: all that others leave."
    )
    reserve_mb: Annotated[int, Field(ge=0)] = Field(
        128, description="Part of the budget no model is given: room for what nobody announced."
    )
    keep_alive_s: Annotated[float, Field(gt=0)] = Field(
        300.0, description="A model nobody has used for so long is unloaded."
    )
    queue_size: Annotated[int, Field(ge=1)] = Field(256, description="Jobs that may wait; then the least urgent goes.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.device_ids)) < len(self.device_ids) or any(number < 0 for number in self.device_ids):
            raise ValueError("device_ids has numbers of GPUs, from 0 on, each once")
        return self

    @property
    def gpus(self) -> tuple[int, ...]:
        """Numbers of the GPUs in use."""
        return self.device_ids or (self.device_id,)


def _none_as_word(value: object) -> object:
    """TOML has no null."""
    return None if value == "none" else value


class RecordingSettings(_Section):
    dir: Path = Field(Path("recordings"), description="Where recordings made over HTTP or on the page are kept.")
    max_age_days: Annotated[float | None, Field(gt=0), BeforeValidator(_none_as_word)] = Field(
        30.0, description="Recordings that ended longer ago are removed; `none`: none are, for their age."
    )
    max_bytes: Annotated[int | None, Field(ge=1), BeforeValidator(_none_as_word)] = Field(
        20_000_000_000, description="Of all recordings together; the oldest go first. `none`: no limit."
    )
    max_seconds: Annotated[float, Field(gt=0)] = Field(
        3600.0, description="A longer recording goes on in a new one at the next I-frame."
    )
    segment_s: Annotated[float, Field(gt=0, le=1.5)] = Field(
        1.0, description="A recording cut off at any moment loses this much, and what is on its way to the disk."
    )
    crf: Annotated[int, Field(ge=0, le=51)] = Field(23, description="x264 quality; lower is better and larger.")
    min_free_bytes: Annotated[int, Field(ge=0)] = Field(
        200_000_000, description="A recording stops when the disk has less."
    )


class LogSettings(_Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None = Field(
        None, description="DEBUG, INFO, WARNING or ERROR; unset: INFO for the server, WARNING for other commands."
    )
    json_lines: bool = Field(False, description="One JSON object per line instead of text.")
