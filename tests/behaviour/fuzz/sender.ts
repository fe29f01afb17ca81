import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from "node:http2";
import { createConnection } from "node:net";

/** What became of something that was sent: a gRPC status, another answer of HTTP, a stream or connection that was ended, or a stream that was taken. */
export type Answer = `status ${number}` | `http ${number}` | "reset" | "closed" | "taken";

/** Nothing may take longer, on a machine with other things to do. */
const PATIENCE_MS = 30_000;
/** What of a stream has come by then is enough: the server has read what was sent. */
const TAKEN_MS = 20;

/** Sends what no client would to a server on a unix socket, over HTTP/2 connections that are opened again when the server ends them. */
export class Sender implements Disposable {
  readonly #path: string;
  readonly #sessions: ClientHttp2Session[] = [];
  #next = 0;

  /** `connections`: how many at a time. */
  constructor(path: string, connections: number) {
    this.#path = path;
    for (let at = 0; at < connections; at++) this.#sessions.push(this.#connect());
  }

  /** Sends a request. `isStream`: it need not end, so it is left once it was taken. Rejects when nothing comes of it. */
  ask(headers: OutgoingHttpHeaders, body: Uint8Array, isStream = false): Promise<Answer> {
    const session = this.#session();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const stream = session.request({ ":method": "POST", te: "trailers", ...headers });
    const settle = (answer: Answer): void => {
      clearTimeout(patience);
      resolve(answer);
      if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
    };
    const patience = setTimeout(() => {
      reject(
        new Error(`nothing came of ${JSON.stringify(headers)} ${Buffer.from(body).toString("hex").slice(0, 400)}`),
      );
      stream.close(constants.NGHTTP2_CANCEL);
    }, PATIENCE_MS);
    stream.on("error", () => settle("reset"));
    stream.on("close", () => settle("reset"));
    stream.on("trailers", (trailers) => settle(statusOf(trailers["grpc-status"])));
    stream.on("response", (response) => {
      if (response["grpc-status"] !== undefined) settle(statusOf(response["grpc-status"]));
      else if (response[":status"] !== 200) settle(`http ${response[":status"] ?? 0}`);
      else if (isStream) setTimeout(() => settle("taken"), TAKEN_MS);
    });
    stream.resume();
    stream.end(body);
    return promise;
  }

  /** Sends bytes of any kind on a connection of their own, and says that no more will come. Resolves when the server has ended it. */
  shout(bytes: Uint8Array): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const socket = createConnection(this.#path);
    const patience = setTimeout(() => {
      reject(new Error(`a connection was left open after ${Buffer.from(bytes).toString("hex").slice(0, 400)}`));
      socket.destroy();
    }, PATIENCE_MS);
    socket.on("error", () => undefined); // reset: it is closed, too
    socket.on("close", () => {
      clearTimeout(patience);
      resolve("closed");
    });
    socket.resume();
    socket.end(bytes);
    return promise;
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.destroy();
  }

  #session(): ClientHttp2Session {
    const at = this.#next++ % this.#sessions.length;
    const session = this.#sessions[at];
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    const fresh = this.#connect();
    this.#sessions[at] = fresh;
    return fresh;
  }

  #connect(): ClientHttp2Session {
    const session = connect("http://localhost", { createConnection: () => createConnection(this.#path) });
    session.on("error", () => undefined); // its streams say so
    return session;
  }
}

function statusOf(text: string | string[] | undefined): Answer {
  return `status ${Number(text)}`;
}
