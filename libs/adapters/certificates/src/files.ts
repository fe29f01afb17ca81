import { randomBytes } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { HeddleError, InvalidArgumentError, NotFoundError, PermissionError } from "@heddle/kernel";
import { tlsFilesIn } from "@heddle/port-rpc";
import { type Authority, authorityOf, type Identity } from "./authority.ts";
import { PEM_BYTES_MAX } from "./limits.ts";

/** Where a directory has its authority: paths of PEM files. */
export function authorityFilesIn(directory: string): { readonly certFile: string; readonly keyFile: string } {
  return { certFile: join(directory, "ca.crt"), keyFile: join(directory, "ca.key") };
}

/** The authority of a directory with ca.crt and ca.key. Throws NotFoundError or InvalidArgumentError, which name the files. */
export function readAuthority(directory: string): Authority {
  const { certFile, keyFile } = authorityFilesIn(directory);
  const [certPem, keyPem] = [readPem(certFile), readPem(keyFile)];
  return naming(`${certFile} and ${keyFile}`, () => authorityOf(certPem, keyPem));
}

/** Writes ca.key and ca.crt into a directory, as `writeIdentity` does. */
export function writeAuthority(directory: string, authority: Authority): void {
  const { certFile, keyFile } = authorityFilesIn(directory);
  ownDirectory(directory);
  replace(keyFile, authority.keyPem, KEY_MODE);
  replace(certFile, authority.certPem, CERTIFICATE_MODE);
}

/** The identity of a directory with ca.crt, tls.crt and tls.key; nothing is verified. Throws NotFoundError, which names the file. */
export function readIdentity(directory: string): Identity {
  const { caFile, certFile, keyFile } = tlsFilesIn(directory);
  return { certPem: readPem(certFile), keyPem: readPem(keyFile), caPem: readPem(caFile) };
}

/**
 * Writes tls.key, tls.crt and ca.crt, in this order, each complete from the moment it can be seen, in place of those that are there.
 * A directory that is not there is made so that only this user can enter it; the key can be read by this user only. Throws PermissionError
 * when the directory is somebody else's, a link, or open to others' writes: they could put a key of theirs in place of this one.
 */
export function writeIdentity(directory: string, identity: Identity): void {
  const { caFile, certFile, keyFile } = tlsFilesIn(directory);
  ownDirectory(directory);
  replace(keyFile, identity.keyPem, KEY_MODE);
  replace(certFile, identity.certPem, CERTIFICATE_MODE);
  replace(caFile, identity.caPem, CERTIFICATE_MODE);
}

const KEY_MODE = 0o600;
const CERTIFICATE_MODE = 0o644;

/** Reads a PEM file. Throws NotFoundError, PermissionError or InvalidArgumentError, which name it. */
export function readPem(path: string): string {
  const bytes = attempt("read", path, () => statSync(path).size);
  if (bytes > PEM_BYTES_MAX)
    throw new InvalidArgumentError(`${path} has ${bytes} bytes: a PEM file has at most ${PEM_BYTES_MAX}`);
  return attempt("read", path, () => readFileSync(path, "utf8"));
}

function ownDirectory(directory: string): void {
  const path = resolve(directory); // with a slash at its end, a link would be taken for what it leads to
  attempt("make", path, () => mkdirSync(path, { recursive: true, mode: 0o700 }));
  const found = lstatSync(path);
  if (!found.isDirectory())
    throw new PermissionError(`${path} is not a directory: a link must be named by where it leads`);
  if (process.getuid === undefined) return;
  if (found.uid !== process.getuid())
    throw new PermissionError(`${path} belongs to another user (uid ${found.uid}), who could exchange the keys in it`);
  if ((found.mode & 0o022) !== 0)
    throw new PermissionError(
      `others may write to ${path} (mode ${(found.mode & 0o7777).toString(8)}), so could exchange the keys in it: chmod 700 it`,
    );
}

/** Puts a file in place at once. Whoever looks sees the old one or the new one, also after the machine has stopped in between. */
function replace(path: string, text: string, mode: number): void {
  const temporary = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    attempt("write", path, () => {
      writeNew(temporary, text, mode);
      renameSync(temporary, path);
      syncDirectory(dirname(path));
    });
  } finally {
    rmSync(temporary, { force: true });
  }
}

function writeNew(path: string, text: string, mode: number): void {
  const fd = openSync(path, "wx", mode);
  try {
    writeFileSync(fd, text);
    fchmodSync(fd, mode); // whatever the umask leaves: servers of other users read certificates
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncDirectory(path: string): void {
  if (process.platform === "win32") return; // which cannot open directories
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Says which file it was that could not be read, made or written. */
function attempt<T>(verb: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw fileError(path, verb, cause);
  }
}

function fileError(path: string, verb: string, cause: unknown): HeddleError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const words = `cannot ${verb} ${path}: ${cause instanceof Error ? cause.message : String(cause)}`;
  if (code === "ENOENT") return new NotFoundError(`there is no ${path}`, { cause });
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return new PermissionError(words, { cause });
  return new InvalidArgumentError(words, { cause });
}

/** Says of which files an error speaks. */
function naming<T>(files: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof HeddleError)) throw error;
    throw new InvalidArgumentError(`${files}: ${error.message}`, { cause: error });
  }
}
