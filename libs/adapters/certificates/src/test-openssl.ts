import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Identity } from "./authority.ts";

/** A scratch directory, removed when disposed, where OpenSSL gets what it is to judge. */
export class Bench implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "heddle-certificates-test-"));

  file(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  /** What `openssl ARGS...` says; throws with its complaint when it fails. Runs in the directory. */
  openssl(...args: readonly string[]): string {
    return execFileSync("openssl", args, { cwd: this.path, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  /** Whether OpenSSL, at its strictest, believes an identity for that purpose: "OK", or why not. */
  verdict(identity: Identity, ...options: readonly string[]): string {
    const ca = this.file("ca.pem", identity.caPem);
    const certificate = this.file("certificate.pem", identity.certPem);
    try {
      return this.openssl("verify", "-x509_strict", ...options, "-CAfile", ca, certificate)
        .trim()
        .replace(/^.*: /, "");
    } catch (error) {
      const said = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
      return /error \d+ at .*: (.+)/.exec(said)?.[1] ?? said;
    }
  }

  /** What OpenSSL reads in a certificate, without the parts that differ each time. */
  text(pem: string, ...options: readonly string[]): string {
    return this.openssl("x509", "-in", this.file("shown.pem", pem), "-noout", ...options).trim();
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
