import { InvalidArgumentError } from "./errors.ts";

/** Where a server is: a socket file, or a host and port of TCP. */
export type Address =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Parses `unix:/path`, `host:port` or `[v6]:port`. Throws InvalidArgumentError that shows the text. */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    if (path === "") throw new InvalidArgumentError(`${JSON.stringify(text)} names no socket file`);
    return { kind: "unix", path };
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    const shown = JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
    throw new InvalidArgumentError(`${shown} is not an address: say host:port, [v6]:port or unix:/path`);
  }
  return { kind: "tcp", host, port };
}

/** Whether only this machine can reach it: a socket file, `localhost`, 127.0.0.0/8 or ::1. Any other name is not, wherever it leads. */
export function isLocal(address: Address): boolean {
  if (address.kind === "unix") return true;
  return /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|(0{0,4}:){2,7}0{0,3}1)$/i.test(address.host);
}
