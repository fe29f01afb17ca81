import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { InvalidArgumentError, isLocal, PermissionError, parseAddress, type Role } from "@heddle/kernel";
import { type TlsFiles, tlsFilesIn } from "@heddle/port-rpc";
import { text } from "./setting.ts";

/** The settings of whoever proves by a certificate who it is. */
export const tlsSettings = {
  tlsDir: text(
    "DIR",
    "speak TLS with ca.crt, tls.crt and tls.key of DIR, as heddle certs makes them; needed beyond this machine",
    undefined,
  ),
  caFile: text("FILE", "instead of --tls-dir: certificates of the authorities to believe (PEM)", undefined),
  certFile: text("FILE", "instead of --tls-dir: the certificate that says who this is (PEM)", undefined),
  keyFile: text("FILE", "instead of --tls-dir: its private key (PEM)", undefined),
};

/** Their values. */
export interface TlsValues {
  readonly tlsDir: string | undefined;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/**
 * The files that the settings name: those of the directory, or the three. Undefined when none is named. Throws InvalidArgumentError when
 * some of the three are missing, or both ways are used; nothing is read.
 */
export function tlsFilesOf({ tlsDir, caFile, certFile, keyFile }: Partial<TlsValues>): TlsFiles | undefined {
  const files = [
    ["--ca-file", caFile],
    ["--cert-file", certFile],
    ["--key-file", keyFile],
  ] as const;
  const given = files.filter(([, file]) => file !== undefined).map(([flag]) => flag);
  const missing = files.filter(([, file]) => file === undefined).map(([flag]) => flag);
  if (tlsDir !== undefined) {
    if (given.length === 0) return tlsFilesIn(tlsDir);
    throw new InvalidArgumentError(
      `--tls-dir and ${given.join(", ")} are both set, by options, the environment or the config file: say one or the other`,
    );
  }
  if (caFile !== undefined && certFile !== undefined && keyFile !== undefined) return { caFile, certFile, keyFile };
  if (given.length === 0) return undefined;
  throw new InvalidArgumentError(
    `${given.join(", ")} without ${missing.join(", ")}: TLS needs all three, or --tls-dir`,
  );
}

/**
 * The same for a program that plays this part in a fabric. Throws PermissionError for another part's certificate, such as the one in a
 * user's HEDDLE_TLS_DIR: whoever dials it, or is dialled, would refuse it in words that say less.
 */
export function tlsFilesFor(
  role: Role,
  values: TlsValues,
  environment: NodeJS.ProcessEnv = process.env,
): TlsFiles | undefined {
  const named = tlsFilesOf(values);
  const namedBy = variablesOf(values, environment);
  const files = named === undefined || namedBy === "" ? named : { ...named, namedBy };
  const found = files === undefined ? role : (roleIn(files.certFile) ?? role);
  if (found === role) return files;
  throw new PermissionError(
    `the certificate in ${files?.certFile} is one for the role ${found}: this program needs one for the role ${role}, made with heddle certs` +
      (namedBy === "" ? "" : ` (the environment names this file by ${namedBy})`),
  );
}

/** Which variables say what is meant, if any. A flag that says the same says nothing else. */
function variablesOf({ tlsDir, caFile, certFile, keyFile }: TlsValues, environment: NodeJS.ProcessEnv): string {
  const variables = Object.entries({
    HEDDLE_TLS_DIR: tlsDir,
    HEDDLE_CA_FILE: caFile,
    HEDDLE_CERT_FILE: certFile,
    HEDDLE_KEY_FILE: keyFile,
  });
  return variables
    .filter(([name, value]) => value !== undefined && environment[name] === value)
    .map(([name]) => name)
    .join(", ");
}

/** Undefined when that is not plain to see: whoever reads the file in earnest says what is wrong with it. */
function roleIn(certFile: string): string | undefined {
  try {
    const { subjectAltName } = new X509Certificate(readFileSync(certFile));
    return /URI:spiffe:\/\/heddle\/([a-z]+)\//.exec(subjectAltName ?? "")?.[1];
  } catch {
    return undefined;
  }
}

/**
 * The address of another server, if it can be one that is dialled with these files: a wrong one would be tried for ever. Throws
 * InvalidArgumentError, and PermissionError for one beyond this machine without files.
 */
export function checkedAddress(address: string, tls: TlsFiles | undefined): string {
  if (isLocal(parseAddress(address)) || tls !== undefined) return address;
  throw new PermissionError(
    `refusing to dial ${address} without TLS, because it is beyond this machine: get a certificate for this one from heddle certs issue ` +
      "and name its directory with --tls-dir",
  );
}
