import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  authorityFilesIn,
  type CertificateFacts,
  certificatesIn,
  DAY_MS,
  isIssuedBy,
  isRenewalDue,
  keyFits,
  readCertificate,
  readPem,
  tlsFilesIn,
} from "@heddle/adapter-certificates";
import { exitCodes } from "@heddle/adapter-command";
import { HeddleError, InvalidArgumentError, NotFoundError, PermissionError } from "@heddle/kernel";
import { directoriesIn, isAuthorityDirectory, openToOthers } from "./certs-directory.ts";
import { plainText } from "./format.ts";
import { documentText, type OutputFormat } from "./output.ts";
import { isTable, type Print } from "./questions.ts";
import { type Column, Table } from "./table.ts";

/** One certificate as `heddle certs show` tells of it. */
interface Shown {
  readonly path: string;
  /** A role, "authority", or nothing. */
  readonly role: string;
  readonly name: string;
  readonly hosts: readonly string[];
  readonly notBefore: string;
  readonly notAfter: string;
  /** Whole days; negative once it is expired. */
  readonly daysLeft: number;
  readonly issuer: string;
  readonly serial: string;
  readonly fingerprint: string;
  /** Whether it can be used now. */
  readonly usable: boolean;
  /** What is wrong with it or its files, the gravest first. */
  readonly problems: readonly string[];
}

interface Problem {
  readonly text: string;
  /** Nobody would believe it so. */
  readonly isFatal: boolean;
}

/** Of a certificate with fewer days to go the time of day is shown. */
const HOURS_SHOWN_DAYS = 2;

const columns: readonly Column<Shown>[] = [
  { heading: "PATH", cell: ({ path }) => path },
  { heading: "ROLE", cell: ({ role }) => role },
  { heading: "NAME", cell: ({ name }) => name },
  { heading: "HOSTS", cell: ({ hosts }) => hosts.join(",") },
  { heading: "UNTIL", cell: untilText },
  { heading: "DAYS", cell: ({ daysLeft }) => String(daysLeft) },
  { heading: "ISSUER", cell: ({ issuer }) => issuer },
  { heading: "FROM", cell: ({ notBefore }) => notBefore.slice(0, 10), isWide: true },
  { heading: "SERIAL", cell: ({ serial }) => serial, isWide: true },
  { heading: "SHA-256", cell: ({ fingerprint }) => fingerprint, isWide: true },
  { heading: "STATE", cell: ({ problems }) => (problems.length === 0 ? "ok" : problems.join("; ")) },
];

/** Near the end the time of day matters, too. */
function untilText({ notAfter, daysLeft }: Shown): string {
  if (Math.abs(daysLeft) >= HOURS_SHOWN_DAYS) return notAfter.slice(0, 10);
  return `${notAfter.slice(0, 16).replace("T", " ")} UTC`;
}

/** `heddle certs show`. */
export function show(
  paths: readonly string[],
  { output, headers }: { readonly output: OutputFormat; readonly headers: boolean },
  print: Print,
): void {
  const found = paths.flatMap((path) => certificatesAt(path, Date.now()));
  if (isTable(output)) {
    const cells = columns.map((column) => ({ ...column, cell: (item: Shown) => plainText(column.cell(item)) || "-" }));
    const table = new Table(cells, { wide: output === "wide", headings: headers });
    for (const line of table.lines(found)) print(`${line}\n`);
  } else {
    print(documentText(output, found));
  }
  if (found.some(({ usable }) => !usable)) process.exitCode = exitCodes.error;
}

function certificatesAt(path: string, nowMs: number): Shown[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new NotFoundError(`there is no ${path}: "heddle certs init" makes certificates`);
  if (!found.isDirectory()) return fromFile(path, nowMs);
  const shown = [path, ...directoriesIn(path)].flatMap((directory) => {
    if (existsSync(tlsFilesIn(directory).certFile)) return [fromIdentity(directory, nowMs)];
    return isAuthorityDirectory(directory) ? [fromAuthority(directory, nowMs)] : [];
  });
  if (shown.length > 0) return shown;
  throw new NotFoundError(
    `there is no certificate in ${path}: neither tls.crt nor ca.crt, there or in a directory below`,
  );
}

function fromFile(path: string, nowMs: number): Shown[] {
  return naming(path, () => certificatesIn(readPem(path)).map((pem) => shown(path, readCertificate(pem), [], nowMs)));
}

function fromIdentity(directory: string, nowMs: number): Shown {
  const { caFile, certFile, keyFile } = tlsFilesIn(directory);
  const certPem = readPem(certFile);
  return naming(certFile, () => {
    const problems = [...authorityProblems(certPem, caFile), ...keyProblems(certPem, keyFile)];
    if (!existsSync(keyFile)) problems.unshift({ text: "no tls.key", isFatal: true });
    return shown(directory, readCertificate(certPem), problems, nowMs);
  });
}

/** Its key may be kept elsewhere. */
function fromAuthority(directory: string, nowMs: number): Shown {
  const { certFile, keyFile } = authorityFilesIn(directory);
  const certPem = readPem(certFile);
  return naming(certFile, () => shown(directory, readCertificate(certPem), keyProblems(certPem, keyFile), nowMs));
}

function authorityProblems(certPem: string, caFile: string): Problem[] {
  if (!existsSync(caFile)) return [{ text: "no ca.crt", isFatal: true }];
  const caPem = readPem(caFile);
  if (naming(caFile, () => isIssuedBy(certPem, caPem))) return [];
  return [{ text: "does not come from ca.crt", isFatal: true }];
}

function keyProblems(certPem: string, keyFile: string): Problem[] {
  if (!existsSync(keyFile)) return [];
  const name = keyFile.slice(join(keyFile, "..").length + 1);
  const problems: Problem[] = [];
  try {
    if (!keyFits(certPem, readPem(keyFile))) problems.push({ text: `${name} is not its key`, isFatal: true });
  } catch (error) {
    if (!(error instanceof PermissionError)) throw error;
    problems.push({ text: `${name} cannot be read`, isFatal: false });
  }
  const open = openToOthers(keyFile);
  if (open !== undefined) problems.push({ text: `${name} ${open}`, isFatal: false });
  return problems;
}

function timeProblems(facts: CertificateFacts, nowMs: number): Problem[] {
  if (facts.notAfter.getTime() <= nowMs) return [{ text: "expired", isFatal: true }];
  if (facts.notBefore.getTime() > nowMs) return [{ text: "not valid yet", isFatal: true }];
  return isRenewalDue(facts, nowMs) ? [{ text: "renewal is due", isFatal: false }] : [];
}

function shown(path: string, facts: CertificateFacts, ofFiles: readonly Problem[], nowMs: number): Shown {
  const { role, name, hosts, notBefore, notAfter, issuer, serial, fingerprint, isAuthority } = facts;
  const ofRole: Problem[] = role === undefined && !isAuthority ? [{ text: "names no role", isFatal: true }] : [];
  const problems = [...timeProblems(facts, nowMs), ...ofRole, ...ofFiles].sort(
    (a, b) => Number(b.isFatal) - Number(a.isFatal),
  );
  return {
    ...{ path, role: isAuthority ? "authority" : (role ?? ""), name, hosts },
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    daysLeft: Math.trunc((notAfter.getTime() - nowMs) / DAY_MS) || 0, // which may be -0
    ...{ issuer, serial, fingerprint },
    usable: problems.every(({ isFatal }) => !isFatal),
    problems: problems.map(({ text }) => text),
  };
}

/** Says of which file an error speaks. */
function naming<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof HeddleError) || error.message.includes(file)) throw error;
    throw new InvalidArgumentError(`${file}: ${error.message}`, { cause: error });
  }
}
