/** Where a directory has an identity. */
export { tlsFilesIn } from "@heddle/port-rpc";
export {
  type Authority,
  type AuthorityOptions,
  createAuthority,
  type Identity,
  type IdentityRequest,
} from "./authority.ts";
export { authorityFilesIn, readAuthority, readIdentity, readPem, writeAuthority, writeIdentity } from "./files.ts";
export { hostIn, isServer } from "./hosts.ts";
export { keyFits } from "./keys.ts";
export { kubernetesSecret, type SecretNames } from "./kubernetes.ts";
export { AUTHORITY_DAYS, DAY_MS, IDENTITY_DAYS } from "./limits.ts";
export { type CertificateFacts, certificatesIn, isIssuedBy, readCertificate } from "./read-certificate.ts";
export { isRenewalDue, renewed } from "./renewal.ts";
