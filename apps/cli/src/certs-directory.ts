import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { authorityFilesIn, tlsFilesIn } from "@heddle/adapter-certificates";

/** The directory of the authority in a directory that `heddle certs init` made. */
export function authorityDirectory(dir: string): string {
  return join(dir, "ca");
}

/** Directories with an identity right below this one, by name. */
export function identityDirectories(dir: string): string[] {
  return directoriesIn(dir).filter((each) => existsSync(tlsFilesIn(each).certFile));
}

/** What has an authority in it, and is no identity: that has a ca.crt, too. */
export function isAuthorityDirectory(directory: string): boolean {
  return existsSync(authorityFilesIn(directory).certFile) && !existsSync(tlsFilesIn(directory).certFile);
}

export function directoriesIn(dir: string): string[] {
  const names = readdirSync(dir).sort();
  return names
    .map((name) => join(dir, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
}

/** What is wrong with who can read a key; undefined when nothing is, or the system has no such modes. */
export function openToOthers(keyFile: string): string | undefined {
  const mode = statSync(keyFile).mode & 0o777;
  if (process.getuid === undefined || (mode & 0o077) === 0) return undefined;
  return `is open to others (mode ${mode.toString(8).padStart(4, "0")})`;
}
