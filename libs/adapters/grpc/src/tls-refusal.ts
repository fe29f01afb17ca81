import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { CERTIFICATE_NAME_CHARS } from "./limits.ts";

/**
 * Why a server had no TLS with a peer, for its log: in words where the cause is a common one, with the code of OpenSSL or Node behind them. Whose the certificate was is said as far as Node
 * still knows: it lets go of one that was not believed before it tells of that.
 */
export function handshakeFailure(
  error: NodeJS.ErrnoException,
  socket: Pick<TLSSocket, "authorizationError" | "getPeerX509Certificate">,
): string {
  // Node's types say Error, and Node says a text
  const code = String(socket.authorizationError ?? error.code ?? error.message);
  const words = wordsOf(code);
  const why = words === undefined ? code : `${words} (${code})`;
  const certificate = socket.getPeerX509Certificate();
  return `TLS handshake failed: ${why}${certificate === undefined ? "" : `; ${certificateText(certificate)}`}`;
}

function wordsOf(code: string): string | undefined {
  switch (code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "CERT_SIGNATURE_FAILURE":
      return "its certificate is of another authority than those believed here";
    case "CERT_HAS_EXPIRED":
      return "its certificate, or its authority's, has expired";
    case "CERT_NOT_YET_VALID":
      return "its certificate, or its authority's, is not yet valid: is the clock right, here and there?";
    case "INVALID_PURPOSE":
      return "its certificate is for servers alone";
    case "INVALID_CA":
      return "its certificate is issued by one that may issue none";
    case "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE":
      return "it showed no certificate";
    case "ERR_SSL_UNSUPPORTED_PROTOCOL":
      return "it does not speak TLS 1.3";
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
    case "ERR_SSL_HTTP_REQUEST":
      return "it does not speak TLS";
    case "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA":
    case "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE":
    case "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED":
    case "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN":
      return "it does not believe the certificate of this server";
    case "ECONNRESET":
      return "it left: does it believe the certificate of this server?";
    case "ERR_TLS_HANDSHAKE_TIMEOUT":
      return "it took too long";
    default:
      return undefined;
  }
}

/** Whose a certificate is and who issued it, as it says itself. */
export function certificateText({ subject, issuer }: Pick<X509Certificate, "subject" | "issuer">): string {
  return `the certificate of ${shown(subject)}, issued by ${shown(issuer)}`;
}

/** On one line and cut: whoever made the certificate may have written anything there. */
function shown(name: string): string {
  const line = name
    .slice(0, 10 * CERTIFICATE_NAME_CHARS)
    .replaceAll("\n", ", ")
    .replaceAll(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "");
  return JSON.stringify(line.length > CERTIFICATE_NAME_CHARS ? `${line.slice(0, CERTIFICATE_NAME_CHARS)}...` : line);
}
