import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
  ServerOptions,
} from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { assert } from "@heddle/kernel";
import type { Connections } from "./connections.ts";
import type { Guard } from "./guard.ts";
import {
  HEADER_BYTES_MAX,
  HEADER_PAIRS_MAX,
  INVALID_FRAMES_MAX,
  REJECTED_STREAMS_MAX,
  RESET_BURST,
  RESET_RATE,
} from "./limits.ts";

type CreateHttp2Server = (...args: unknown[]) => Http2Server;
type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...more: unknown[]) => void;

/** What is done to an http2 server between grpc-js and the world. */
export interface Tuning {
  /** Flow-control window of streams and connections over TCP. */
  readonly tcpWindowBytes: number;
  readonly connections: Connections;
  readonly guard: Guard;
}

/**
 * Gives a grpc-js server what it has no options for: flow-control windows, bounds on what peers may do, sight of its connections (its own
 * forceShutdown destroys only those that channelz knows, and channelz is off), and the guard in front of its one listener to requests.
 * grpc-js makes its http2 server in a private method; the tests of this file's effects fail when an update moves it.
 */
export function tuneServer(server: Server, { tcpWindowBytes, connections, guard }: Tuning): void {
  harden(Reflect.get(server, "commonServerOptions"));
  const create: unknown = Reflect.get(server, "createHttp2Server");
  assert(typeof create === "function", "grpc-js makes its http2 servers in createHttp2Server");
  const tuned: CreateHttp2Server = (...args) => {
    const http2Server = (create as CreateHttp2Server).apply(server, args);
    connections.watch(http2Server);
    http2Server.on("session", (session: ServerHttp2Session) => tuneSession(session, tcpWindowBytes));
    guardRequests(http2Server, guard);
    return http2Server;
  };
  Reflect.set(server, "createHttp2Server", tuned);
}

function harden(options: unknown): void {
  assert(typeof options === "object" && options !== null, "grpc-js keeps the options of http2 in commonServerOptions");
  const known: ServerOptions = options;
  const bounds: ServerOptions = {
    settings: { ...known.settings, maxHeaderListSize: HEADER_BYTES_MAX },
    maxHeaderListPairs: HEADER_PAIRS_MAX,
    maxSessionInvalidFrames: INVALID_FRAMES_MAX,
    maxSessionRejectedStreams: REJECTED_STREAMS_MAX,
    streamResetBurst: RESET_BURST,
    streamResetRate: RESET_RATE,
  };
  Object.assign(options, bounds);
}

function guardRequests(http2Server: Http2Server, guard: Guard): void {
  const listeners = http2Server.listeners("stream");
  const [answer] = listeners;
  assert(answer !== undefined && listeners.length === 1, "grpc-js alone listens to the requests of its http2 server");
  http2Server.removeAllListeners("stream");
  const guarded: StreamListener = (stream, headers, ...more) => {
    if (guard.admits(stream, headers)) answer.call(http2Server, stream, headers, ...more);
  };
  http2Server.on("stream", guarded);
}

function tuneSession(session: ServerHttp2Session, tcpWindowBytes: number): void {
  // A unix socket: HTTP/2's default of 64 KiB is right. The session may be over already.
  if (session.destroyed || session.socket.remoteAddress === undefined) return;
  session.settings({ initialWindowSize: tcpWindowBytes });
  session.setLocalWindowSize(tcpWindowBytes);
}
