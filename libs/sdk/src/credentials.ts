import { resolve } from "node:path";
import { environmentVariable } from "@heddle/adapter-system";
import { checkOptionNames, described } from "@heddle/client";
import { InvalidArgumentError } from "@heddle/kernel";
import { type Credentials, type TlsFiles, tlsFilesIn } from "@heddle/port-rpc";

const FILE_NAMES = ["caFile", "certFile", "keyFile"] as const satisfies readonly (keyof TlsFiles)[];
const VARIABLES = { caFile: "HEDDLE_CA_FILE", certFile: "HEDDLE_CERT_FILE", keyFile: "HEDDLE_KEY_FILE" } as const;

/** Throws TypeError for what cannot be the files of TLS or a token, InvalidArgumentError for a token that cannot be one. */
export function checkCredentials({ tls, token }: { readonly tls?: unknown; readonly token?: unknown }): void {
  if (tls !== undefined) {
    checkOptionNames("tls", tls, FILE_NAMES);
    for (const name of FILE_NAMES) checkFile(name, Reflect.get(Object(tls), name));
  }
  if (token === undefined) return;
  if (typeof token !== "string") throw new TypeError(`token must be a string, got ${described(token)}`);
  checkToken("token", token);
  if (tls !== undefined)
    throw new TypeError("give tls or a token, not both: with TLS the certificate says who you are");
}

function checkFile(name: string, file: unknown): void {
  if (typeof file !== "string")
    throw new TypeError(`tls.${name} must be the path of a PEM file, got ${described(file)}`);
  if (file === "") throw new InvalidArgumentError(`tls.${name} is empty: it is the path of a PEM file`);
}

/** It is never shown. */
function checkToken(what: string, token: string): void {
  if (/^[A-Za-z0-9_-]{43}$/.test(token)) return;
  const hasOthers = /[^A-Za-z0-9_-]/.test(token)
    ? "has blanks, line breaks or letters that no token has"
    : "is no token";
  throw new InvalidArgumentError(
    `${what} ${token === "" ? "is empty" : hasOthers}: it is the 43 characters that "heddle token" prints`,
  );
}

/**
 * What to show to servers: what was given, else what the environment names. Files are those in HEDDLE_TLS_DIR, or all of HEDDLE_CA_FILE, HEDDLE_CERT_FILE and HEDDLE_KEY_FILE;
 * with neither there is the token in HEDDLE_TOKEN. Whoever gives either option is asked no further. Throws InvalidArgumentError that names the variable for what is
 * incomplete or there twice. No file is read.
 */
export function credentialsOf({ tls, token }: Credentials): Credentials {
  if (tls !== undefined) return { tls: absolute(tls) };
  if (token !== undefined) return { token };
  const named = filesInEnvironment();
  if (named !== undefined) return { tls: absolute(named) };
  const inEnvironment = environmentVariable("HEDDLE_TOKEN");
  if (inEnvironment === undefined) return {};
  checkToken("HEDDLE_TOKEN", inEnvironment);
  return { token: inEnvironment };
}

function filesInEnvironment(): TlsFiles | undefined {
  const directory = environmentVariable("HEDDLE_TLS_DIR");
  const [caFile, certFile, keyFile] = FILE_NAMES.map((name) => environmentVariable(VARIABLES[name]));
  const set = FILE_NAMES.map((name) => VARIABLES[name]).filter((name) => environmentVariable(name) !== undefined);
  if (directory !== undefined) {
    if (set.length === 0) return { ...tlsFilesIn(directory), namedBy: "HEDDLE_TLS_DIR" };
    throw new InvalidArgumentError(`HEDDLE_TLS_DIR and ${set.join(", ")} are both set: unset one or the other`);
  }
  if (caFile !== undefined && certFile !== undefined && keyFile !== undefined)
    return { caFile, certFile, keyFile, namedBy: set.join(", ") };
  if (set.length === 0) return undefined;
  const missing = Object.values(VARIABLES).filter((name) => !set.includes(name));
  throw new InvalidArgumentError(
    `${missing.join(" and ")} must be set, too: TLS needs all three files, or HEDDLE_TLS_DIR (${set.join(", ")} is there)`,
  );
}

/** A program may go to another directory, and files are read again when they change. */
function absolute({ caFile, certFile, keyFile, ...more }: TlsFiles): TlsFiles {
  return { caFile: resolve(caFile), certFile: resolve(certFile), keyFile: resolve(keyFile), ...more };
}
