import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
} from "node:http2";
import { connect as connectSocket } from "node:net";
import { keep } from "./test-kit.ts";

/** HTTP/2 in the raw: to a server of `serve`, over TLS where files are given, until the test is over. */
export async function http2To(address: string, tls?: SecureClientSessionOptions): Promise<ClientHttp2Session> {
  return begun(connect(`${tls === undefined ? "http" : "https"}://${address}`, tls));
}

/** The same over a unix socket. */
export async function http2ToUnix(address: string): Promise<ClientHttp2Session> {
  return begun(connect("http://localhost", { createConnection: () => connectSocket(address.slice("unix:".length)) }));
}

async function begun(session: ClientHttp2Session): Promise<ClientHttp2Session> {
  keep({ [Symbol.asyncDispose]: async () => session.destroy() });
  await once(session, "connect");
  session.on("error", () => undefined);
  return session;
}

/** The headers of a gRPC request, without any proof. */
export function grpcHeaders(path: string): { [name: string]: string } {
  return { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
}

/** Posts `body` and resolves with the headers and trailers that came, whatever becomes of the stream. */
export async function post(
  session: ClientHttp2Session,
  headers: object,
  body?: Uint8Array,
): Promise<IncomingHttpHeaders> {
  const stream = session.request(headers as Record<string, string>, { endStream: body === undefined });
  let got: IncomingHttpHeaders = {};
  stream.on("response", (response) => {
    got = { ...got, ...response };
  });
  stream.on("trailers", (trailers) => {
    got = { ...got, ...trailers };
  });
  stream.on("error", () => undefined);
  stream.resume();
  if (body !== undefined) stream.end(body);
  await new Promise((resolve) => stream.once("close", resolve));
  return got;
}

/** A gRPC message with the length prefix that `claimed` says. */
export function framed(bytes: Uint8Array, claimed = bytes.length, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(claimed, 1);
  return Buffer.concat([head, bytes]);
}
