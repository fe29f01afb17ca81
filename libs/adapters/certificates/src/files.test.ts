import {
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError, NotFoundError, PermissionError } from "@heddle/kernel";
import { afterAll, expect, test } from "vitest";
import { createAuthority } from "./authority.ts";
import { readAuthority, readIdentity, readPem, writeAuthority, writeIdentity } from "./files.ts";
import { keyFits } from "./keys.ts";
import { PEM_BYTES_MAX } from "./limits.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-certificates-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const authority = await createAuthority();
const [identity, other] = await Promise.all([authority.issue({ role: "agent" }), authority.issue({ role: "agent" })]);

function modes(directory: string): Record<string, string> {
  const mode = (path: string): string => (lstatSync(path).mode & 0o777).toString(8);
  const files = readdirSync(directory).sort();
  return Object.fromEntries([["", mode(directory)], ...files.map((file) => [file, mode(join(directory, file))])]);
}

/** A directory of a user that this process is not. */
function foreignDirectory(): string {
  if (process.getuid?.() !== 0) return "/";
  const directory = mkdtempSync(join(scratch, "foreign-"));
  chownSync(directory, 65_534, 65_534);
  return directory;
}

test.each([0o000, 0o022, 0o077])(
  "with umask %o, keys are only for their user, and certificates for everybody",
  (umask) => {
    const before = process.umask(umask);
    try {
      const directory = join(scratch, `modes-${umask}`, "agent");
      writeIdentity(directory, identity);
      expect(modes(directory)).toEqual({ "": "700", "ca.crt": "644", "tls.crt": "644", "tls.key": "600" });
      writeAuthority(`${directory}-ca`, authority);
      expect(modes(`${directory}-ca`)).toEqual({ "": "700", "ca.crt": "644", "ca.key": "600" });
    } finally {
      process.umask(before);
    }
  },
);

test("what was written is read again", () => {
  const directory = join(scratch, "again");
  writeIdentity(directory, identity);
  expect(readIdentity(directory)).toEqual(identity);
  writeIdentity(directory, other);
  expect(readIdentity(directory)).toEqual(other);
  writeAuthority(join(directory, "ca"), authority);
  const { certPem, keyPem } = readAuthority(join(directory, "ca"));
  expect({ certPem, keyPem }).toEqual({ certPem: authority.certPem, keyPem: authority.keyPem });
});

test("files are replaced whole, the key first: who has one open has all of the old one", () => {
  const directory = join(scratch, "whole");
  writeIdentity(directory, identity);
  const inodes = ["tls.key", "tls.crt", "ca.crt"].map((file) => statSync(join(directory, file)).ino);
  rmSync(join(directory, "tls.crt"));
  mkdirSync(join(directory, "tls.crt")); // which no file can replace
  expect(() => writeIdentity(directory, other)).toThrow(/cannot write .*tls\.crt/);
  expect(readFileSync(join(directory, "tls.key"), "utf8")).toBe(other.keyPem);
  expect(statSync(join(directory, "tls.key")).ino).not.toBe(inodes[0]);
  expect(statSync(join(directory, "ca.crt")).ino).toBe(inodes[2]);
  expect(readdirSync(directory).sort()).toEqual(["ca.crt", "tls.crt", "tls.key"]); // nothing is left behind
});

test("a key that others could read is not, once it is replaced", () => {
  const directory = join(scratch, "open");
  mkdirSync(directory, { mode: 0o755 });
  writeFileSync(join(directory, "tls.key"), "", { mode: 0o644 });
  writeIdentity(directory, identity);
  expect(modes(directory)).toMatchObject({ "": "755", "tls.key": "600" });
});

test("a link in place of a file is replaced, and what it leads to stays as it is", () => {
  const directory = join(scratch, "linked");
  mkdirSync(directory, { mode: 0o700 });
  const target = join(scratch, "target");
  writeFileSync(target, "precious");
  for (const file of ["tls.key", "tls.crt", "ca.crt"]) symlinkSync(target, join(directory, file));
  writeIdentity(directory, identity);
  expect(readFileSync(target, "utf8")).toBe("precious");
  expect(readIdentity(directory)).toEqual(identity);
});

test("no key goes into a directory where others could exchange it", () => {
  const foreign = foreignDirectory();
  expect(() => writeIdentity(foreign, identity)).toThrow(PermissionError);
  expect(() => writeIdentity(foreign, identity)).toThrow(/ belongs to another user \(uid \d+\)/);
  const writable = mkdtempSync(join(scratch, "writable-"));
  const before = process.umask(0);
  mkdirSync(join(writable, "all"), { mode: 0o770 });
  process.umask(before);
  expect(() => writeAuthority(join(writable, "all"), authority)).toThrow(
    /^others may write to .*\(mode 770\).*chmod 700/,
  );
  symlinkSync(join(scratch, "modes-0"), join(writable, "link"));
  for (const name of ["link", "link/"])
    expect(() => writeIdentity(join(writable, name), identity)).toThrow(/ is not a directory/);
  expect(readdirSync(join(writable, "all"))).toEqual([]);
  expect(readdirSync(join(scratch, "modes-0"))).toEqual(["agent", "agent-ca"]);
});

test("what is not there, too long or no authority is told of by its path, without its text", () => {
  const directory = join(scratch, "wrong");
  expect(() => readAuthority(directory)).toThrow(NotFoundError);
  expect(() => readIdentity(directory)).toThrow(`there is no ${join(directory, "tls.crt")}`);
  mkdirSync(directory);
  writeFileSync(join(directory, "ca.crt"), identity.certPem);
  writeFileSync(join(directory, "ca.key"), identity.keyPem);
  expect(() => readAuthority(directory)).toThrow(
    /wrong\/ca\.crt and .*wrong\/ca\.key: the certificate is not an authority's$/,
  );
  writeFileSync(join(directory, "ca.crt"), authority.certPem);
  writeFileSync(join(directory, "ca.key"), "very secret");
  expect(() => readAuthority(directory)).toThrow(/: this is not a private key in PEM, without a passphrase$/);
  truncateSync(join(directory, "ca.key"), PEM_BYTES_MAX + 1);
  expect(() => readPem(join(directory, "ca.key"))).toThrow(InvalidArgumentError);
  expect(() => readPem(directory)).toThrow(/^cannot read .*EISDIR/);
  writeFileSync(join(directory, "file"), "");
  expect(() => writeIdentity(join(directory, "file"), identity)).toThrow(/^cannot make .*file: EEXIST/);
});

test("a key fits one certificate only", () => {
  expect(keyFits(identity.certPem, identity.keyPem)).toBe(true);
  expect(keyFits(identity.certPem, other.keyPem)).toBe(false);
  expect(keyFits(identity.certPem, "nothing")).toBe(false);
});
