import { type ChannelOptions, logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { type Address, MESSAGE_BYTES_MAX } from "@heddle/kernel";
import {
  CALLER_CONNECTIONS_MAX,
  CALLER_STREAMS_MAX,
  CONNECTION_AGE_MS,
  CONNECTION_GRACE_MS,
  CONNECTION_IDLE_MS,
  CONNECTION_MEMORY_MB,
  CONNECTIONS_MAX,
  GREETING_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
  KEEPALIVE_TIME_MS,
  KEEPALIVE_TIMEOUT_MS,
  QUESTION_TIMEOUT_MS,
  STRANGERS_MAX,
  STREAMS_MAX,
  TCP_WINDOW_BYTES,
  UNIX_WINDOW_BYTES,
} from "./limits.ts";

const common: ChannelOptions = {
  "grpc.keepalive_time_ms": KEEPALIVE_TIME_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
  "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
  "grpc.enable_channelz": 0,
  "grpc-node.max_session_memory": CONNECTION_MEMORY_MB,
};

/** Options of a channel to `address`. */
export function clientOptions(address: Address, tcpWindowBytes = TCP_WINDOW_BYTES): ChannelOptions {
  return {
    ...common,
    "grpc.enable_retries": 0, // sessions repeat what was lost; gRPC would keep a second copy
    "grpc.use_local_subchannel_pool": 1, // a new channel must not share the connection of one that hangs
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_http_proxy": 0,
    "grpc-node.flow_control_window": address.kind === "tcp" ? tcpWindowBytes : UNIX_WINDOW_BYTES,
  };
}

/** What one server bears. Tests make it small. */
export interface ServerLimits {
  readonly connectionsMax: number;
  readonly callerConnectionsMax: number;
  readonly callerStreamsMax: number;
  readonly strangersMax: number;
  readonly greetingTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly questionTimeoutMs: number;
}

/** What every server bears: limits.ts says what happens above. */
export const SERVER_LIMITS: ServerLimits = {
  connectionsMax: CONNECTIONS_MAX,
  callerConnectionsMax: CALLER_CONNECTIONS_MAX,
  callerStreamsMax: CALLER_STREAMS_MAX,
  strangersMax: STRANGERS_MAX,
  greetingTimeoutMs: GREETING_TIMEOUT_MS,
  handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
  questionTimeoutMs: QUESTION_TIMEOUT_MS,
};

/** How long a server keeps a connection. */
export interface ConnectionAge {
  readonly ageMs: number;
  readonly graceMs: number;
}

/** Options of a server. */
export function serverOptions(age: Partial<ConnectionAge> = {}): ChannelOptions {
  return {
    ...common,
    "grpc.max_concurrent_streams": STREAMS_MAX,
    "grpc.max_connection_idle_ms": CONNECTION_IDLE_MS,
    "grpc.max_connection_age_ms": age.ageMs ?? CONNECTION_AGE_MS,
    "grpc.max_connection_age_grace_ms": age.graceMs ?? CONNECTION_GRACE_MS,
  };
}

/** grpc-js writes to standard error by itself what it also reports as errors; those are ours to tell. Process-wide, idempotent. */
export function silenceGrpc(): void {
  setLogVerbosity(logVerbosity.NONE);
}
