import { createPrivateKey, generateKeyPair, type KeyObject, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import { InvalidArgumentError } from "@heddle/kernel";

const newKeys = promisify(generateKeyPair);

/** All that is signed here is signed with this. */
export const signing = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A new pair of keys. */
export async function createKeys(): Promise<{ readonly publicKey: KeyObject; readonly privateKey: KeyObject }> {
  return await newKeys("ec", { namedCurve: signing.namedCurve });
}

/** A private key as a file has it: PKCS #8 in PEM. */
export function keyPemOf(key: KeyObject): string {
  return String(key.export({ type: "pkcs8", format: "pem" }));
}

/** The private key of a PEM text that can sign here. Throws InvalidArgumentError, which never shows the text. */
export function signingKeyIn(pem: string): KeyObject {
  const key = privateKeyIn(pem);
  if (key === undefined) throw new InvalidArgumentError("this is not a private key in PEM, without a passphrase");
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType !== "ec" || curve !== "prime256v1")
    throw new InvalidArgumentError(
      `an authority's key is one of the curve P-256, not ${curve ?? key.asymmetricKeyType}`,
    );
  return key;
}

/** Whether the private key is that of the (first) certificate. */
export function keyFits(certPem: string, keyPem: string): boolean {
  const key = privateKeyIn(keyPem);
  return key !== undefined && new X509Certificate(certPem).checkPrivateKey(key);
}

function privateKeyIn(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined; // its words are OpenSSL's, of no use to anybody
  }
}
