import { expect, test } from "vitest";
import { CERTIFICATE_NAME_CHARS } from "./limits.ts";
import { certificateText, handshakeFailure } from "./tls-refusal.ts";

const error = (code: string) => Object.assign(new Error("socket hang up"), { code });
const unknown = { getPeerX509Certificate: () => undefined };

test.each([
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "its certificate is of another authority than those believed here"],
  ["CERT_HAS_EXPIRED", "its certificate, or its authority's, has expired"],
])(
  "%s of a certificate that was not believed counts more than that the connection ended, and is said in words",
  (code, words) => {
    // Node gives a text where its types say Error
    const socket = Object.assign(Object.create(null), { ...unknown, authorizationError: code });
    expect(handshakeFailure(error("ECONNRESET"), socket)).toBe(`TLS handshake failed: ${words} (${code})`);
  },
);

test("a cause without words is said by its code, or by what the error says", () => {
  const socket = Object.assign(Object.create(null), unknown);
  expect(handshakeFailure(error("ERR_SSL_NO_SHARED_GROUP"), socket)).toBe(
    "TLS handshake failed: ERR_SSL_NO_SHARED_GROUP",
  );
  expect(handshakeFailure(new Error("gone"), socket)).toBe("TLS handshake failed: gone");
});

test("a certificate that is still known is named", () => {
  const getPeerX509Certificate = () => ({ subject: "CN=eve\nO=evil", issuer: "CN=them" });
  const socket = Object.assign(Object.create(null), { getPeerX509Certificate });
  expect(handshakeFailure(error("ERR_SSL_BAD_SIGNATURE"), socket)).toBe(
    'TLS handshake failed: ERR_SSL_BAD_SIGNATURE; the certificate of "CN=eve, O=evil", issued by "CN=them"',
  );
});

test("names in a certificate are cut, on one line, and steer no terminal", () => {
  const text = certificateText({ subject: 'CN=a\u001b[31m\u202eb\r\u0085"', issuer: `CN=${"x".repeat(99_999)}` });
  const cut = `CN=${"x".repeat(CERTIFICATE_NAME_CHARS - 3)}...`;
  expect(text).toBe(`the certificate of "CN=a[31mb\\"", issued by "${cut}"`);
});
