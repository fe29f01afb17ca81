import { lookup } from "node:dns/promises";
import { existsSync } from "node:fs";
import { isIPv6 } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import type { Authority } from "@heddle/adapter-certificates";
import { InvalidArgumentError, isLocal, NotFoundError, PermissionError, parseAddress } from "@heddle/kernel";

/** Who has a certificate in a fabric of `heddle up`: each in a directory of this name, as TLS settings want it. */
const parties = ["coordinator", "agent", "client", "admin"] as const;
type Party = (typeof parties)[number];

/** Which certificates are wanted. */
export interface CertificatesWanted {
  /** Where they are, or will be. */
  readonly directory: string;
  /** Whether the directory stays, and with it the authority: later certificates are believed by those who have one of now. */
  readonly isLasting: boolean;
  /** By these the coordinator will be dialled. */
  readonly hosts: readonly string[];
}

/**
 * Makes the certificates that are not there, have lived two thirds of their life, or do not fit. Gives each party's directory. Rejects
 * with HeddleErrors that name the file that is wrong.
 */
export async function makeCertificates(wanted: CertificatesWanted): Promise<Readonly<Record<Party, string>>> {
  const { writeIdentity } = await import("@heddle/adapter-certificates");
  const authority = await authorityIn(wanted);
  const directories = parties.map((role) => [role, join(wanted.directory, role)] as const);
  for (const [role, directory] of directories) {
    const hosts = role === "coordinator" ? wanted.hosts : [];
    if (!(await isGood(directory, authority, hosts))) writeIdentity(directory, await authority.issue({ role, hosts }));
  }
  return Object.fromEntries(directories) as Record<Party, string>; // one of each
}

/** The key of an authority that does not stay is never written down. */
async function authorityIn({ directory, isLasting }: CertificatesWanted): Promise<Authority> {
  const { authorityFilesIn, createAuthority, readAuthority, writeAuthority } = await import(
    "@heddle/adapter-certificates"
  );
  const home = join(directory, "ca");
  const { certFile, keyFile } = authorityFilesIn(home);
  if (isLasting && (existsSync(certFile) || existsSync(keyFile))) return readAuthority(home);
  const authority = await createAuthority();
  if (isLasting) writeAuthority(home, authority);
  return authority;
}

async function isGood(directory: string, authority: Authority, hosts: readonly string[]): Promise<boolean> {
  const { hostIn, isIssuedBy, isRenewalDue, keyFits, readCertificate, readIdentity } = await import(
    "@heddle/adapter-certificates"
  );
  try {
    const { certPem, keyPem, caPem } = readIdentity(directory);
    const facts = readCertificate(certPem);
    const isOfNow = isIssuedBy(certPem, authority.certPem) && caPem === authority.certPem && !isRenewalDue(facts);
    return isOfNow && keyFits(certPem, keyPem) && hosts.every((host) => facts.hosts.includes(hostIn(host)));
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof InvalidArgumentError) return false; // none, or half of one
    throw error;
  }
}

/** Throws PermissionError when a fabric without TLS would serve other machines. */
export function mustBeLocal(listen: string): void {
  if (isLocal(parseAddress(listen))) return;
  throw new PermissionError(
    `refusing to listen at ${listen} without TLS: whoever can connect can run code here.\n` +
      "Add --tls, which makes certificates for this fabric; or make your own with heddle certs init and start heddle coordinator\n" +
      "and heddle agent with --tls-dir.",
  );
}

/**
 * By what a coordinator at `listen` may be dialled: the names given, this machine's own, and its addresses when it serves at all of them.
 * Throws InvalidArgumentError for a socket file, which needs no TLS.
 */
export function hostsAt(listen: string, given: readonly string[]): readonly string[] {
  const address = parseAddress(listen);
  if (address.kind === "unix")
    throw new InvalidArgumentError(`--tls is for TCP: ${listen} is open to this user alone, by the modes of files`);
  const own = isEverywhere(address.host) ? interfaceHosts() : [address.host];
  return [...new Set([...given, ...own, ...(isHostName(hostname()) ? [hostname().toLowerCase()] : [])])];
}

/** Where this machine's own processes reach a coordinator that serves at `bound`. */
export function addressHere(bound: string): string {
  const address = parseAddress(bound);
  if (address.kind === "unix" || !isEverywhere(address.host)) return bound;
  return `${isIPv6(address.host) ? "[::1]" : "127.0.0.1"}:${address.port}`;
}

/** Throws InvalidArgumentError for names of a certificate that nobody makes. */
export function mustNameNothing(host: readonly string[]): void {
  if (host.length === 0) return;
  throw new InvalidArgumentError(
    `--host ${host.join(", ")} names this machine in the certificate that --tls makes, and says nothing without it: ` +
      "add --tls, or leave it out; --listen says where to listen",
  );
}

/** By what this machine is known, as far as it knows. */
export interface Self {
  readonly name: string;
  /** Of its interfaces, those that lead nowhere else left out. */
  readonly addresses: readonly string[];
  /** Whether the name leads anywhere from here. */
  readonly leads: (name: string) => Promise<boolean>;
}

const thisMachine = (): Self => ({
  name: hostname(),
  addresses: interfaceHosts(),
  leads: async (name) => (await lookup(name).catch(() => undefined)) !== undefined,
});

/**
 * Where other machines reach it, as far as this one knows, by what its certificate has: the first name given, else its own when that leads anywhere, else its first address.
 * 127.0.0.1, which is another machine elsewhere, only where there is no way out of this one.
 */
export async function addressForOthers(
  bound: string,
  given: readonly string[],
  self: Self = thisMachine(),
): Promise<string> {
  const address = parseAddress(bound);
  if (address.kind === "unix" || !isEverywhere(address.host)) return bound;
  const [first] = given.filter((host) => !host.startsWith("*"));
  const own = isHostName(self.name) && (await self.leads(self.name)) ? self.name : undefined;
  const host = first ?? own ?? self.addresses.find((each) => isIPv6(address.host) || !isIPv6(each));
  if (host === undefined) return addressHere(bound);
  return `${isIPv6(host) ? `[${host}]` : host}:${address.port}`;
}

function isEverywhere(host: string): boolean {
  return host === "0.0.0.0" || (isIPv6(host) && new URL(`http://[${host}]`).hostname === "[::]");
}

/** Link-local addresses of IPv6 are no use without the name of the interface, which differs on each machine. */
function interfaceHosts(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.filter((each) => !each.internal && !/^fe80/i.test(each.address)).map((each) => each.address);
}

/** Of machines' names some are no names of DNS. */
function isHostName(name: string): boolean {
  return (
    /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(name) &&
    !/\.\d+$/.test(name)
  );
}
