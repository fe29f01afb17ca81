import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  type Authority,
  authorityFilesIn,
  createAuthority,
  isRenewalDue,
  isServer,
  kubernetesSecret,
  readAuthority,
  readCertificate,
  readPem,
  renewed,
  tlsFilesIn,
  writeAuthority,
  writeIdentity,
} from "@heddle/adapter-certificates";
import { exitCodeOf, messageOf } from "@heddle/adapter-command";
import { ConflictError, HeddleError, InvalidArgumentError, type Role, roles } from "@heddle/kernel";
import type { Secrets } from "./certs.ts";
import { authorityDirectory, identityDirectories, isAuthorityDirectory, openToOthers } from "./certs-directory.ts";
import { plainText } from "./format.ts";
import { documentText } from "./output.ts";
import type { Print } from "./questions.ts";

export interface InitOptions {
  readonly dir: string;
  readonly host: readonly string[];
  readonly days?: number;
  readonly authorityDays?: number;
  /** Print these, and write no identity. */
  readonly secrets: Secrets | undefined;
}

/** `heddle certs init`. All is made before anything is written. */
export async function init(options: InitOptions, print: Print): Promise<void> {
  const { dir, host, days, authorityDays, secrets } = options;
  mustBeNew(options);
  const authority = await createAuthority(authorityDays === undefined ? {} : { days: authorityDays });
  const made = await oneOfEach(authority, { host, days });
  const documents = made.map(
    ({ role, identity }) => secrets && secretText(`${secrets.name}-${role}`, role, secrets, identity),
  );
  writeAuthority(authorityDirectory(dir), authority);
  for (const [index, { role, identity }] of made.entries()) {
    if (documents[index] === undefined) writeIdentity(join(dir, role), identity);
    else print(documents[index]);
  }
  const [until = ""] = made.map(({ identity }) => dayOf(identity.certPem));
  const words = `${summary(dir, authority, until, secrets)}\n\n${nextSteps(dir, host, secrets)}\n`;
  if (secrets === undefined) print(words);
  else console.error(words.trimEnd());
}

/** An identity for each role. */
async function oneOfEach(authority: Authority, { host, days }: Pick<RenewSecretsOptions, "host" | "days">) {
  const making = roles.map(async (role) => {
    const hosts = isServer(role) ? host : [];
    return { role, identity: await authority.issue({ role, hosts, ...(days !== undefined && { days }) }) };
  });
  return await Promise.all(making);
}

export interface IssueOptions {
  readonly dir: string;
  readonly role: Role;
  readonly name: string | undefined;
  readonly host: readonly string[];
  readonly days?: number;
  readonly out?: string;
  /** Print one that is called so, and write no file. */
  readonly secrets: Secrets | undefined;
}

/** `heddle certs issue`. */
export async function issue(options: IssueOptions, print: Print): Promise<void> {
  const { dir, role, name, host, days, out, secrets } = options;
  if (secrets !== undefined && out !== undefined)
    throw new InvalidArgumentError("--kubernetes writes no file: leave out --out");
  const directory = out ?? join(dir, name === undefined ? role : `${role}-${name}`);
  if (secrets === undefined) mustNotHold(directory);
  const authority = authorityIn(dir);
  const wanted = { role, hosts: host, ...(name !== undefined && { name }), ...(days !== undefined && { days }) };
  const identity = await authority.issue(wanted);
  const facts = readCertificate(identity.certPem);
  if (isServer(role) && host.length === 0)
    console.error(`heddle: without --host this ${role} can be dialled from its own machine only`);
  const who = `${role} ${facts.name}, good until ${day(facts.notAfter)}`;
  if (secrets !== undefined) {
    print(secretText(secrets.name, role, secrets, identity));
    console.error(`Made Secret ${secrets.name}: ${who}`);
    return;
  }
  writeIdentity(directory, identity);
  print(`Made ${directory}: ${who}\nUse it with --tls-dir ${directory} or HEDDLE_TLS_DIR=${directory}\n`);
}

export interface RenewOptions {
  readonly dir: string;
  readonly days?: number;
  /** Those that are not due, too. */
  readonly all: boolean;
}

/** `heddle certs renew`. One that cannot be renewed is told of and does not hold up the others. */
export async function renew(directories: readonly string[], options: RenewOptions, print: Print): Promise<void> {
  const authority = authorityIn(options.dir);
  const targets = directories.length > 0 ? directories : identityDirectories(options.dir);
  if (targets.length === 0) print(`There are no identities in ${options.dir}.\n`);
  for (const directory of targets) {
    try {
      print(`${directory}: ${await renewIn(directory, authority, options)}\n`);
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      console.error(`heddle: ${directory}: ${messageOf(error)}`);
      process.exitCode ??= exitCodeOf(error);
    }
  }
}

export interface RenewSecretsOptions {
  readonly dir: string;
  readonly host: readonly string[];
  readonly days: number | undefined;
  readonly secrets: Secrets;
}

/** `heddle certs renew --kubernetes`: all Secrets that `init` printed, by the same authority. What they had is nowhere here. */
export async function renewSecrets({ dir, host, days, secrets }: RenewSecretsOptions, print: Print): Promise<void> {
  if (host.length === 0)
    throw new InvalidArgumentError(
      "no file here has the hosts of these Secrets: say with --host, as for init, by which names the coordinator and the manager are dialled",
    );
  const authority = authorityIn(dir);
  const made = await oneOfEach(authority, { host, days });
  const documents = made.map(({ role, identity }) => secretText(`${secrets.name}-${role}`, role, secrets, identity));
  for (const document of documents) print(document);
  for (const { role, identity } of made)
    console.error(`Made Secret ${secrets.name}-${role}, good until ${dayOf(identity.certPem)}`);
}

/** Says what was done. */
async function renewIn(directory: string, authority: Authority, { days, all }: RenewOptions): Promise<string> {
  if (isAuthorityDirectory(directory)) return "an authority, left as it is";
  const { certFile, caFile } = tlsFilesIn(directory);
  const old = { certPem: readPem(certFile), caPem: readPem(caFile) };
  const { role, name, notAfter, ...life } = readCertificate(old.certPem);
  const who = `${role ?? "no role"} ${plainText(name)}`;
  if (!all && !isRenewalDue({ ...life, notAfter }))
    return `${who} is good until ${day(notAfter)}: not due, --all renews it`;
  const identity = await renewed(authority, old, days);
  writeIdentity(directory, identity);
  return `${who} renewed until ${dayOf(identity.certPem)}`;
}

function authorityIn(dir: string): Authority {
  const directory = authorityDirectory(dir);
  const { certFile, keyFile } = authorityFilesIn(directory);
  if (!existsSync(certFile) && !existsSync(keyFile))
    throw new InvalidArgumentError(
      `there is no authority in ${directory}: say --dir, or make one with "heddle certs init"`,
    );
  const authority = readAuthority(directory);
  const open = openToOthers(keyFile);
  if (open !== undefined)
    console.error(`heddle: ${keyFile} ${open}, who can make identities of any role with it: chmod 600 it`);
  return authority;
}

/** Nothing that is there is replaced: who has a certificate of the old authority would be believed by nobody. */
function mustBeNew({ dir, host, secrets }: InitOptions): void {
  const { certFile, keyFile } = authorityFilesIn(authorityDirectory(dir));
  if (existsSync(certFile) || existsSync(keyFile)) {
    const again = [
      "heddle certs renew",
      ...(secrets === undefined ? [] : [`--dir ${dir}`, ...secretWords(secrets, host)]),
    ].join(" ");
    throw new ConflictError(
      `there is an authority in ${authorityDirectory(dir)} already: "heddle certs issue" makes more identities, ` +
        `"${again}" new ${secrets === undefined ? "certificates" : "Secrets"}; say --dir for another authority`,
    );
  }
  if (secrets === undefined) for (const role of roles) mustNotHold(join(dir, role));
}

function secretWords({ name, namespace }: Secrets, hosts: readonly string[]): string[] {
  const given = hosts.length === 0 ? ["HOST"] : hosts;
  const hostWords = given.map((host) => `--host ${host}`);
  return [`--kubernetes ${name}`, ...(namespace === undefined ? [] : [`--namespace ${namespace}`]), ...hostWords];
}

function mustNotHold(directory: string): void {
  const { certFile, keyFile } = tlsFilesIn(directory);
  if (existsSync(certFile) || existsSync(keyFile))
    throw new ConflictError(
      `there is an identity in ${directory} already: "heddle certs renew ${directory} --all" gives it a new certificate; ` +
        "another one needs a NAME or a directory of its own",
    );
}

function secretText(
  name: string,
  role: Role,
  { namespace }: Secrets,
  identity: Parameters<typeof kubernetesSecret>[1],
): string {
  const labels = { "app.kubernetes.io/part-of": "heddle", "app.kubernetes.io/component": role };
  const names = { name, labels, ...(namespace !== undefined && { namespace }) };
  return `---\n${documentText("yaml", kubernetesSecret(names, identity))}`;
}

function summary(dir: string, authority: Authority, until: string, secrets: Secrets | undefined): string {
  const directory = authorityDirectory(dir);
  const identities = roles.map((role) => (secrets === undefined ? join(dir, role) : `Secret ${secrets.name}-${role}`));
  return [
    `Made ${directory}: an authority, good until ${dayOf(authority.certPem)}. Keep ca.key where nobody else can read it.`,
    ...identities.map((where) => `Made ${where}, good until ${until}`),
  ].join("\n");
}

function nextSteps(dir: string, hosts: readonly string[], secrets: Secrets | undefined): string {
  // Where they are dialled by names of their own, as services of Kubernetes are, these mostly say which is which.
  const [first = "localhost"] = hosts;
  const manager = at(hosts.find((host) => host.includes("manager")) ?? first, 7435);
  const address = at(hosts.find((host) => !host.includes("manager")) ?? first, 7433);
  const directory = (role: Role): string => (secrets === undefined ? join(dir, role) : `/etc/heddle/${role}`);
  const listen = hosts.length === 0 ? "127.0.0.1" : "0.0.0.0";
  const reach = "Without --host, the servers can be dialled from their own machine only.";
  return [
    ...(hosts.length === 0 ? [reach] : []),
    secrets === undefined ? "Next:" : "Next, with the Secrets mounted at these directories:",
    `  heddle manager --listen ${listen}:7435 --data-dir /var/lib/heddle --tls-dir ${directory("manager")}`,
    `  heddle coordinator --listen ${listen}:7433 --manager ${manager} --tls-dir ${directory("coordinator")}`,
    `  heddle agent --coordinator ${address} --tls-dir ${directory("agent")}`,
    `  HEDDLE_ADDRESS=${address} HEDDLE_TLS_DIR=${directory("client")} heddle run script.ts`,
  ].join("\n");
}

function at(host: string, port: number): string {
  return `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}

function dayOf(certPem: string): string {
  return day(readCertificate(certPem).notAfter);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
