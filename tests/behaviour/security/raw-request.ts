import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";
import type { TlsFiles } from "@heddle/port-rpc";

/** What became of a request. */
export type Outcome =
  /** The TLS connection did not come about, or was ended before anything was answered. */
  | { readonly type: "no-connection" }
  /** It ended with this gRPC status. */
  | { readonly type: "status"; readonly status: number; readonly message: string }
  /** It is a stream, and was taken. */
  | { readonly type: "stream" };

/** Not compressed, of length 0. */
const emptyMessage = Buffer.alloc(5);

/** A connection as its peer's own client would not make it: with any certificate, for any method. */
export class RawConnection implements AsyncDisposable {
  readonly #session: ClientHttp2Session;
  readonly #failed: Promise<Outcome>;

  /** `files`: whose certificate is shown and whom it believes. `isShown` false: none is shown. */
  constructor(address: string, files: TlsFiles, isShown = true) {
    const own = isShown ? { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) } : {};
    this.#session = connect(`https://${address}`, { ca: readFileSync(files.caFile), ...own });
    const failed = Promise.withResolvers<Outcome>();
    this.#failed = failed.promise;
    this.#session.on("error", () => failed.resolve({ type: "no-connection" }));
    this.#session.on("close", () => failed.resolve({ type: "no-connection" }));
  }

  /** Asks with `body`, an empty message unless given. `isStream`: what answers may not come to an end, so it is reset once the request was taken. */
  async ask(path: string, isStream: boolean, body: Uint8Array = emptyMessage): Promise<Outcome> {
    if (this.#session.destroyed) return { type: "no-connection" };
    const stream = this.#session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    stream.on("error", () => resolve({ type: "no-connection" }));
    stream.on("close", () => resolve({ type: "no-connection" }));
    stream.on("response", (headers) => {
      if (headers["grpc-status"] !== undefined) resolve(statusIn(headers));
      else if (isStream) resolve({ type: "stream" });
    });
    stream.on("trailers", (headers) => resolve(statusIn(headers)));
    stream.resume();
    stream.end(body);
    const outcome = await Promise.race([promise, this.#failed]);
    stream.close(constants.NGHTTP2_CANCEL);
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy();
  }
}

function statusIn(headers: IncomingHttpHeaders): Outcome {
  const message = decodeURIComponent(String(headers["grpc-message"] ?? ""));
  return { type: "status", status: Number(headers["grpc-status"]), message };
}
