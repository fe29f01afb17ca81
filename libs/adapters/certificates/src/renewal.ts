import { InvalidArgumentError } from "@heddle/kernel";
import type { Authority, Identity } from "./authority.ts";
import { CLOCK_DIFFERENCE_MS, DAY_MS, DAYS_MAX } from "./limits.ts";
import { type CertificateFacts, certificatesIn, isIssuedBy, readCertificate } from "./read-certificate.ts";

/** Whether a certificate has lived two thirds of its life, so that a new one leaves time for whatever goes wrong. */
export function isRenewalDue(
  { notBefore, notAfter }: Pick<CertificateFacts, "notBefore" | "notAfter">,
  nowMs = Date.now(),
): boolean {
  return nowMs - notBefore.getTime() >= ((notAfter.getTime() - notBefore.getTime()) * 2) / 3;
}

/**
 * A new key and certificate for the same party: its role, name and hosts, believing whom it believed; as long a life as the old one's
 * unless `days` says otherwise. Rejects with InvalidArgumentError when the old one is no party's, or another authority's.
 */
export async function renewed(
  authority: Authority,
  old: Pick<Identity, "certPem" | "caPem">,
  days?: number,
): Promise<Identity> {
  const { role, name, hosts, notBefore, notAfter, issuer } = readCertificate(old.certPem);
  if (role === undefined) throw new InvalidArgumentError("the certificate names no role");
  if (!isIssuedBy(old.certPem, authority.certPem))
    throw new InvalidArgumentError(
      `the certificate comes from ${JSON.stringify(issuer)}, not from this authority (${JSON.stringify(readCertificate(authority.certPem).name)})`,
    );
  const lifeMs = notAfter.getTime() - notBefore.getTime() - CLOCK_DIFFERENCE_MS;
  const sameDays = Math.min(DAYS_MAX, Math.max(1, Math.round(lifeMs / DAY_MS)));
  const identity = await authority.issue({ role, name, hosts, days: days ?? sameDays });
  const believesIt = certificatesIn(old.caPem).some((each) => fingerprint(each) === fingerprint(authority.certPem));
  return believesIt ? { ...identity, caPem: old.caPem } : identity;
}

function fingerprint(pem: string): string {
  return readCertificate(pem).fingerprint;
}
