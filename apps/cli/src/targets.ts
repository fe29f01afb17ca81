import { resolve } from "node:path";
import { type TlsFiles, type TlsValues, tlsFilesOf, tlsSettings } from "@heddle/adapter-command";
import { type Command, Option } from "commander";
import { addressOf, DEFAULT_ADDRESS } from "./config.ts";

/** Which fabric is asked, and as whom. */
export interface Target {
  readonly address: string;
  /** Undefined: what the environment names, if it does. */
  readonly tls: TlsFiles | undefined;
}

/** What a user says of it. */
export interface TargetOptions extends Partial<TlsValues> {
  readonly address?: string;
}

export function addressOption(otherwise: string = DEFAULT_ADDRESS): Option {
  return new Option("--address <address>", `the coordinator (default: HEDDLE_ADDRESS, else ${otherwise})`);
}

/** Gives a command the options that say where a fabric is and as whom it is asked. */
export function addTarget(command: Command, otherwise?: string): Command {
  const { tlsDir, caFile, certFile, keyFile } = tlsSettings;
  return command
    .addOption(addressOption(otherwise))
    .addOption(new Option("--tls-dir <dir>", `${tlsDir.help} (default: HEDDLE_TLS_DIR)`))
    .addOption(new Option("--ca-file <file>", `${caFile.help} (HEDDLE_CA_FILE)`))
    .addOption(new Option("--cert-file <file>", `${certFile.help} (HEDDLE_CERT_FILE)`))
    .addOption(new Option("--key-file <file>", `${keyFile.help} (HEDDLE_KEY_FILE)`));
}

/** Throws InvalidArgumentError when some files of TLS are missing. */
export function targetOf(options: TargetOptions): Target {
  return { address: addressOf(options.address), tls: tlsFilesOf(options) };
}

/** The environment of a program that is to be what the options say: they win over the environment, all of them. Throws as `targetOf`. */
export function environmentOf(
  options: Partial<TlsValues>,
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  if (tlsFilesOf(options) === undefined) return { ...environment };
  const { tlsDir, caFile, certFile, keyFile } = options;
  const given = new Map<string, string | undefined>([
    ["HEDDLE_TLS_DIR", tlsDir],
    ["HEDDLE_CA_FILE", caFile],
    ["HEDDLE_CERT_FILE", certFile],
    ["HEDDLE_KEY_FILE", keyFile],
  ]);
  const others = Object.entries(environment).filter(([name]) => !given.has(name));
  const named = [...given].flatMap(([name, path]) => (path === undefined ? [] : [[name, resolve(path)]]));
  return Object.fromEntries([...others, ...named]);
}
