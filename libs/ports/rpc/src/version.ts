import { ProtocolError } from "@heddle/kernel";
import type { Version } from "./frame.ts";

/** The minor that both builds speak. Throws ProtocolError in words for people, naming the side to upgrade, when there is none. */
export function commonMinor(own: Version, peer: Version | undefined): number {
  if (peer === undefined) throw new ProtocolError("the peer did not say which version it speaks");
  const common = Math.min(own.minor, peer.minor);
  if (common >= own.minMinor && common >= peer.minMinor) return common;
  const older = own.minor < peer.minor ? "this side" : "the other side";
  throw new ProtocolError(
    `no common version: this side is ${describe(own)}, the other side is ${describe(peer)}; upgrade ${older}`,
  );
}

function describe(version: Version): string {
  const build = version.build === "" ? "an unnamed build" : `build ${version.build.slice(0, 64)}`;
  return `${build} (speaks heddle.v1 minors ${version.minMinor} to ${version.minor})`;
}
