import { InvalidArgumentError } from "@heddle/kernel";
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
