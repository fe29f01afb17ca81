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
