import { described } from "../describe.ts";
import { Connection } from "./connection.ts";
import { made, type Place, type SharedOptions } from "./place.ts";
import { SharedObject } from "./shared-object.ts";

/** What a pipe is told. */
export interface PipeOptions extends Pick<SharedOptions, "fabric"> {
  /** Both ends send and receive. True unless given; false: the first end receives, the second sends. */
  readonly duplex?: boolean;
}

/** The object of which connections are the ends. */
class PipeObject extends SharedObject {
  readonly duplex: boolean;

  constructor(options: PipeOptions, place: Place | undefined) {
    const { duplex = true } = options;
    super(...made({ what: "a pipe", kind: "pipe", options, known: ["duplex"], traits: { duplex } }, place));
    if (typeof duplex !== "boolean") throw new TypeError(`duplex must be true or false, got ${described(duplex)}`);
    this.duplex = duplex;
  }
}

/** The two ends of a new pipe, as multiprocessing.Pipe. Throws TypeError for options that cannot be. */
export function Pipe<T = unknown>(options: PipeOptions = {}, place?: Place): [Connection<T>, Connection<T>] {
  const pipe = new PipeObject(options, place);
  const { home, id: object, duplex } = pipe;
  const end = (end: 0 | 1): Connection<T> => new Connection<T>(home, { object, duplex, end, pipe });
  return [end(0), end(1)];
}
