import { Encoding, type Version } from "./gen/heddle/v1/common.ts";

/** Newest minor of heddle.v1 that this build speaks. Minor 3 took no note of what a chunk that is offered again says of its answered items; in minor 4 beats did not say their session's nonce, nor coordinators that they know a node; minor 5 kept no jobs, and knew no writes that count once; in minor 6 agents did not say when they end, and nothing was kept of what an item had come to. */
export const PROTOCOL_MINOR = 7;
/**
 * Oldest minor of heddle.v1 that this build still speaks. Minor 1 knew no initializers, no folding and no small chunks that travel as one: such a peer would take
 * what it cannot do and answer wrongly. Minor 2 knew neither processes nor shared objects, and would never answer who asks for one. Neither was released.
 */
export const PROTOCOL_MIN_MINOR = 3;

/** First minor in which a coordinator runs only what is not settled of a chunk that is offered again. */
export const SETTLED_SPANS_MINOR = 4;

/** First minor in which the beats of a session say its nonce. */
export const BEAT_NONCE_MINOR = 5;

/** First minor in which a coordinator says that it knows a node. */
export const NODE_REGISTERED_MINOR = 5;

/** First minor in which a coordinator keeps jobs on its disk, and lets clients attach to them. */
export const KEPT_JOBS_MINOR = 6;

/** First minor in which agents collect what the tasks of a job write, so that it counts once. */
export const EFFECTS_MINOR = 6;

/** First minor in which what an item has come to is said and given to its next attempt. Parts of what an older peer does not know of would end its session. */
export const CHECKPOINTS_MINOR = 7;

/** What this build speaks, for Hello and Welcome. `build` is its release, `nodeMajor` the major version of the running Node.js. */
export function protocolVersion(build: string, nodeMajor: number): Version {
  return {
    minor: PROTOCOL_MINOR,
    minMinor: PROTOCOL_MIN_MINOR,
    encodings: [Encoding.RANGE, Encoding.REPEAT, Encoding.F64, Encoding.I32, Encoding.BOOL, Encoding.MSGPACK],
    nodeMajor,
    build,
  };
}

/** The FileDescriptorSet of all of heddle.v1, with imports: what reflection serves. */
export const descriptorSetUrl: URL = new URL("./gen/heddle.binpb", import.meta.url);
