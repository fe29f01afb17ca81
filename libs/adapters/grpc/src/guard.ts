import {
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import {
  AuthenticationError,
  assert,
  type HeddleError,
  LimitError,
  PermissionError,
  UnavailableError,
  unreachable,
} from "@heddle/kernel";
import { type AccessTable, type Caller, CallerQuota, callerText, mayCall, thisUser } from "@heddle/port-rpc";
import type { Audit } from "./audit.ts";
import type { Identity } from "./caller-of.ts";
import { type Connections, whoIs } from "./connections.ts";
import { STRANGER_STREAMS_MAX } from "./limits.ts";
import { PROOF_KEY, ProofChecker, type ServerToken } from "./proof.ts";
import { statusOfError } from "./status.ts";

/** A request that may go on to its handler. */
export interface Admission {
  readonly caller: Caller;
  /** The server's own proof that it knows the token, for its first metadata; undefined where no token is in use. */
  readonly proof?: string;
}

/** What a guard needs to know of its server. */
export interface GuardOptions {
  readonly access: AccessTable;
  readonly connections: Connections;
  readonly audit: Audit;
  /** The token of the server's address; undefined while it is not known yet, and then nobody who needs it is let in. */
  readonly token: () => ServerToken | undefined;
  /** Paths of methods that may stay open without the peer's end. Any other's messages must have come soon. */
  readonly streamPaths: ReadonlySet<string>;
  /** How long those messages, and the last of an answer, may take. */
  readonly questionTimeoutMs: number;
  /** Requests of one certificate's role and name that are under way at a time. */
  readonly callerStreamsMax: number;
}

type Verdict = { readonly admission: Admission } | { readonly error: HeddleError; readonly why: string };

/** Anybody may ask whether a server is well; over mTLS the table has its say there, too. */
const HEALTH = "/grpc.health.v1.Health/";

/**
 * Stands in front of everything that a server answers, health, reflection and what it does not know included: looks at who asks and for
 * what before gRPC sees the request or a byte of its body is read. An interceptor of gRPC would not hear of unknown methods.
 */
export class Guard {
  readonly #options: GuardOptions;
  readonly #proofs = new ProofChecker({ nowMs: () => Date.now() });
  readonly #admissions = new WeakMap<ServerHttp2Stream, Admission>();
  readonly #quota: CallerQuota;
  /** How many requests are under way on a connection that has proved nothing. */
  readonly #strangers = new WeakMap<Http2Session, number>();

  constructor(options: GuardOptions) {
    this.#options = options;
    const max = options.callerStreamsMax;
    this.#quota = new CallerQuota({ limitName: "CALLER_STREAMS_MAX", max, what: "requests under way" });
  }

  /** Whether the request may go on. If not it is answered and over. */
  admits(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const path = headers[":path"] ?? "";
    const peer = this.#options.connections.peerOf(stream.session);
    if (peer === undefined) {
      // Node tells of requests a tick after their frames: one before it had its connection dropped.
      stream.on("error", () => undefined).destroy();
      return false;
    }
    if (headers["content-type"]?.startsWith("application/grpc") !== true) {
      refuse(stream, { ":status": constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE });
      peer.refused();
      return false;
    }
    const verdict = this.#counted(stream, peer.identity, this.#verdict(peer.identity, path, headers));
    if ("error" in verdict) {
      this.#options.audit.refused({ peer: peer.address, ...whoIs(peer.identity), path, why: verdict.why });
      const { code, details, metadata } = statusOfError(verdict.error);
      const trailers = { "grpc-status": code, "grpc-message": encodeURI(details), ...metadata.toHttp2Headers() };
      refuse(stream, { ":status": 200, "content-type": "application/grpc+proto", ...trailers });
      if (verdict.error instanceof UnavailableError) stream.session?.close(); // what runs may end; the next request takes a new connection
      peer.refused();
      return false;
    }
    if (verdict.admission.proof !== undefined) peer.proved();
    if (!this.#options.streamPaths.has(path)) this.expects(stream, "end");
    this.#admissions.set(stream, verdict.admission);
    return true;
  }

  /** Resets the stream unless it comes to its peer's end, or is over, soon. */
  expects(stream: ServerHttp2Stream, event: "end" | "close"): void {
    if (stream.destroyed) return;
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), this.#options.questionTimeoutMs);
    timer.unref();
    const forget = (): void => clearTimeout(timer);
    stream.once("close", forget);
    if (event !== "close") stream.once(event, forget);
  }

  /** What was found out about an admitted request. */
  admissionOf(stream: ServerHttp2Stream): Admission {
    const admission = this.#admissions.get(stream);
    assert(admission !== undefined, "a request is admitted before it is handled");
    return admission;
  }

  /** Refuses what is one too many of its caller's, and counts what is not until it is over. */
  #counted(stream: ServerHttp2Stream, { type }: Identity, verdict: Verdict): Verdict {
    if ("error" in verdict || stream.destroyed) return verdict;
    const { caller, proof } = verdict.admission;
    try {
      if (type === "party") {
        const place = this.#quota.take(caller);
        stream.once("close", () => place[Symbol.dispose]());
      } else if (type === "unproved" && proof === undefined) this.#countStranger(stream);
      return verdict;
    } catch (error) {
      if (error instanceof LimitError) return refusal(error);
      throw error;
    }
  }

  #countStranger(stream: ServerHttp2Stream): void {
    const { session } = stream;
    if (session === undefined) return;
    const count = (this.#strangers.get(session) ?? 0) + 1;
    if (count > STRANGER_STREAMS_MAX) throw new LimitError("STRANGER_STREAMS_MAX", STRANGER_STREAMS_MAX, count);
    this.#strangers.set(session, count);
    stream.once("close", () => this.#strangers.set(session, (this.#strangers.get(session) ?? 1) - 1));
  }

  #verdict(identity: Identity, path: string, headers: IncomingHttpHeaders): Verdict {
    switch (identity.type) {
      case "user":
        return { admission: { caller: thisUser } };
      case "unproved":
        return path.startsWith(HEALTH) ? { admission: { caller: thisUser } } : this.#proved(path, headers[PROOF_KEY]);
      case "party":
        return this.#allowed(identity, path);
      case "nobody":
        return refusal(
          new AuthenticationError(`the certificate of the caller is not one of this fabric: ${identity.why}`),
        );
      default:
        return unreachable(identity);
    }
  }

  #proved(path: string, proof: string | string[] | undefined): Verdict {
    const token = this.#options.token();
    const given = typeof proof === "string" ? proof : undefined;
    if (token === undefined) return refusal(new UnavailableError("the server is not ready yet"));
    const checked = this.#proofs.check(token, path, given);
    if (checked.ok) return { admission: { caller: thisUser, proof: checked.answer } };
    if (checked.isEarly === true) {
      // Without the server's own proof: whoever caught the client's could pass it on.
      return { error: new UnavailableError("the server has begun since the call was made"), why: checked.why };
    }
    // The same words whatever was wrong: who guesses learns nothing.
    return { error: new AuthenticationError("no good proof came of this server's token"), why: checked.why };
  }

  #allowed({ party, notAfterMs }: Extract<Identity, { type: "party" }>, path: string): Verdict {
    const who = callerText(party);
    if (notAfterMs <= Date.now()) {
      const words = `the certificate of ${who} has expired on ${new Date(notAfterMs).toISOString()}, after the connection began`;
      return refusal(new UnavailableError(`${words}: a new connection needs a new certificate`));
    }
    if (mayCall(this.#options.access, path, party)) return { admission: { caller: party } };
    return refusal(new PermissionError(`${who} may not call ${path}: no ${party.role} may`));
  }
}

function refusal(error: HeddleError): Verdict {
  return { error, why: error.message };
}

/** Answers at once, and asks the peer to stop sending: nothing of its body is read. */
function refuse(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
  stream.on("error", () => undefined);
  if (stream.destroyed || stream.closed) return;
  stream.respond(headers, { endStream: true });
  stream.close(constants.NGHTTP2_NO_ERROR);
}
