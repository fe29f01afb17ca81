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
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { HeddleError, InvalidArgumentError, NotFoundError, PermissionError } from "@heddle/kernel";
import { tlsFilesIn } from "@heddle/port-rpc";
import { type Authority, authorityOf, type Identity } from "./authority.ts";

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
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw fileError(path, "read", cause);
  }
}

function ownDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw fileError(path, "make", cause);
  }
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
    const fd = openSync(temporary, "wx", mode);
    try {
      writeSync(fd, text);
      fchmodSync(fd, mode); // whatever the umask leaves: servers of other users read certificates, and nobody a key
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    syncDirectory(dirname(path));
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw fileError(path, "write", cause);
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
