import { dirname } from "node:path";
import { AuthenticationError, type HeddleError, UnavailableError } from "@heddle/kernel";
import type { TlsFiles } from "@heddle/port-rpc";
import type { TlsProgress } from "./client-tls.ts";

/** The conversation that could not begin. */
export interface TlsAttempt {
  /** For people: the method and the address. */
  readonly what: string;
  /** The name or IP address that was dialled. */
  readonly host: string;
  readonly files: TlsFiles;
  /** What gRPC says of the failure. */
  readonly details: string;
  /** The server hangs up on whoever comes with this certificate. */
  readonly isRefused: boolean;
}

/**
 * Why no connection came about, as far as TLS knows: AuthenticationError where trying again does not help. Undefined when TLS has nothing to
 * say, so that it is the network's failure.
 */
export function errorOfTls(progress: TlsProgress, attempt: TlsAttempt): HeddleError | undefined {
  switch (progress.type) {
    case "none":
      return undefined;
    case "disbelieved":
      if (!attempt.details.includes(progress.error.message)) return undefined; // that was another connection
      return new AuthenticationError(`${attempt.what}: ${disbelief(progress.error, attempt)}; ${advice(attempt)}`);
    case "believed":
      return isHangUp(attempt.details) ? hangUp(attempt) : undefined;
    case "failed":
      if (!attempt.details.includes(progress.error.message)) return undefined;
      return failure(progress.error, attempt);
  }
}

function hangUp(attempt: TlsAttempt): HeddleError {
  const { what, files, isRefused } = attempt;
  const when = `${what}: the server ended the connection right after the TLS handshake`;
  if (!isRefused) return new UnavailableError(`${when}: it is stopping, or something between cuts connections`);
  return new AuthenticationError(
    `${when}, and the next one, too: it does not accept the certificate in ${files.certFile}; ${advice(attempt)}, and the server's log says why`,
  );
}

function disbelief({ code, message }: NodeJS.ErrnoException, { host, files }: TlsAttempt): string {
  switch (code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return (
        `the server's certificate is not for ${host}: ${wordsOf(message).replace(/^.*altnames: /, "")}; dial a host that it names, or give the ` +
        `server one with ${host} in it`
      );
    case "CERT_HAS_EXPIRED":
      return "the server's certificate, or its authority's, has expired: the server needs a new one";
    case "CERT_NOT_YET_VALID":
      return "the server's certificate, or its authority's, is not yet valid: is the clock right, here and there?";
    case "INVALID_PURPOSE":
      return "the server's certificate is for clients alone: whoever listens there is not allowed to be a server";
    default:
      return (
        `the server's certificate does not come from an authority in ${files.caFile} (${wordsOf(message)}): somebody else listens there, ` +
        "or the files of the two sides are of different fabrics"
      );
  }
}

function failure({ code = "", message }: NodeJS.ErrnoException, attempt: TlsAttempt): HeddleError {
  const words = wordsOf(message);
  if (/ALERT/.test(code) && /CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED/.test(code)) {
    return new AuthenticationError(
      `${attempt.what}: the server refused the certificate in ${attempt.files.certFile} (${words}); ${advice(attempt)}`,
    );
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|HANDSHAKE_FAILURE|NO_APPLICATION_PROTOCOL/.test(code)) {
    return new AuthenticationError(
      `${attempt.what}: the server does not speak TLS 1.3 with HTTP/2 (${words}): something else than Heddle listens there`,
    );
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|RECORD_LAYER_FAILURE|UNEXPECTED_MESSAGE/.test(code)) {
    return new AuthenticationError(
      `${attempt.what}: the server does not speak TLS: start it with --tls-dir, or, on one machine, dial it without`,
    );
  }
  return new UnavailableError(`${attempt.what}: TLS failed: ${words}`);
}

/** Whether gRPC's words are those of a server that took the connection and ended it before it had greeted. */
export function isHangUp(details: string): boolean {
  return /Failed to connect|ECONNRESET|EPIPE|Connection closed before|Socket closed|Protocol error/.test(details);
}

/** What OpenSSL and Node say, without the addresses of memory and source files around it, and without advice that is not ours. */
function wordsOf(message: string): string {
  const reason = /:error:[0-9A-F]+:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message;
  return reason.replace(/; if the root CA is installed.*$/s, "").trim();
}

function advice({ files }: TlsAttempt): string {
  return `\`heddle certs show ${dirname(files.certFile)}\` tells role, name, hosts and dates`;
}
