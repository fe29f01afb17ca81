import { statSync } from "node:fs";
import type { Logger } from "@heddle/kernel";
import type { TlsFiles } from "@heddle/port-rpc";
import { EXPIRY_LIFE_PARTS, EXPIRY_REPEAT_MS, EXPIRY_WARN_MS_MAX, EXPIRY_WARN_MS_MIN } from "./limits.ts";

/** From when to when a certificate is good, in milliseconds of the Unix epoch. */
export interface Life {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Tells the log what an operator should mend while all still works. */
export class TlsWarnings {
  readonly #files: TlsFiles;
  readonly #log: Logger;
  #toldOfExpiryMs = Number.NEGATIVE_INFINITY;

  constructor(files: TlsFiles, log: Logger) {
    this.#files = files;
    this.#log = log;
  }

  /** New files were taken up. */
  taken(life: Life, nowMs: number): void {
    this.#toldOfExpiryMs = Number.NEGATIVE_INFINITY;
    const { keyFile } = this.#files;
    const mode = statSync(keyFile, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o044) !== 0)
      this.#log.warn("others can read the TLS key: let its owner alone", {
        file: keyFile,
        mode: (mode & 0o777).toString(8).padStart(4, "0"),
      });
    this.looked(life, nowMs);
  }

  /** The files are as they were. */
  looked(life: Life, nowMs: number): void {
    if (life.notAfterMs - nowMs > warnedBeforeMs(life) || nowMs - this.#toldOfExpiryMs < EXPIRY_REPEAT_MS) return;
    this.#toldOfExpiryMs = nowMs;
    const on = new Date(life.notAfterMs).toISOString();
    this.#log.warn("the certificate runs out soon: renew it", { file: this.#files.certFile, on });
  }
}

function warnedBeforeMs({ notBeforeMs, notAfterMs }: Life): number {
  const part = (notAfterMs - notBeforeMs) / EXPIRY_LIFE_PARTS;
  return Math.min(EXPIRY_WARN_MS_MAX, Math.max(EXPIRY_WARN_MS_MIN, part));
}
