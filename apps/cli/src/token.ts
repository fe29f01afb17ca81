import { findLocalToken, localTokenDirectory } from "@heddle/adapter-system";
import { isLocal, NotFoundError, parseAddress } from "@heddle/kernel";
import type { Print } from "./questions.ts";

/** `heddle token`: the token of this user's server at the address. */
export function token(address: string, print: Print): void {
  const found = findLocalToken(address);
  if (found === undefined) throw new NotFoundError(whyNone(address));
  print(`${found}\n`);
  console.error(
    "Whoever has this can run code as you at this server. For scripts behind a tunnel (ssh -L 7433:127.0.0.1:7433 HOST):\n" +
      '  HEDDLE_ADDRESS=127.0.0.1:7433 HEDDLE_TOKEN="$(ssh HOST heddle token)" node script.ts',
  );
}

function whyNone(address: string): string {
  const parsed = parseAddress(address);
  if (parsed.kind === "unix") return `${address} has no token: who may open the socket file may use the server`;
  if (!isLocal(parsed)) return `${address} has no token: beyond this machine servers speak TLS, with certificates`;
  return `no server of this user at ${address} has a token in ${localTokenDirectory()}: it does not run, or it speaks TLS`;
}
