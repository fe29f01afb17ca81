import type { SecureContextOptions } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";
import type { TlsMaterial } from "./tls-material.ts";

/**
 * Mutual TLS 1.3 with the material as it is at each handshake. grpc-js's own for a provider of certificates would let TLS 1.2 pass and
 * has no time limit for handshakes but Node's of 120 s.
 */
export class TlsServerCredentials extends ServerCredentials {
  constructor(material: TlsMaterial, handshakeTimeoutMs: number) {
    super({ requestCert: true, rejectUnauthorized: true, handshakeTimeout: handshakeTimeoutMs }, contextOf(material));
    material.onChange(() => this.updateSecureContextOptions(contextOf(material)));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function contextOf({ current: { ca, cert, key } }: TlsMaterial): SecureContextOptions {
  return { ca, cert, key, minVersion: "TLSv1.3" };
}
