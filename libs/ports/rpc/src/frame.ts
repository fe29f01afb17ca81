/**
 * The envelope that every stream of the fabric carries, in both directions: the generated RunRequest, RunResponse, AttachRequest
 * and AttachResponse all have this shape. `sequence` counts frames that carry entries, from 1, over the whole session;
 * a frame with only control or an acknowledgement has sequence 0. `acknowledged` is the last sequence received from the peer.
 */
export interface Frame<Entry> {
  sequence: number;
  acknowledged: number;
  control: SessionControl | undefined;
  entries: Entry[];
}

/** Session-level speech, before or beside the entries. */
export interface SessionControl {
  kind?:
    | { $case: "hello"; value: Hello }
    | { $case: "welcome"; value: Welcome }
    | { $case: "goodbye"; value: Goodbye }
    | undefined;
}

/** What a build can speak: the major is the package name heddle.v1, the common minor is min(both minors) and must be >= both minMinors. */
export interface Version {
  minor: number;
  minMinor: number;
  encodings: number[];
  nodeMajor: number;
  build: string;
}

/** First control of a dialled link: who resumes what. `received` is the last sequence the dialer got in this session, 0 for a new one. */
export interface Hello {
  version: Version | undefined;
  sessionId: string;
  received: number;
}

/** First control of an accepted link. `resumed` false means that the acceptor knows no such session and has begun a new one. */
export interface Welcome {
  version: Version | undefined;
  resumed: boolean;
  received: number;
  leaseMs: number;
  heartbeatMs: number;
  serverId: string;
}

/** Last control of a session: it is over and cannot be resumed. `code` is an ErrorCode of the kernel, "closed" when all is well. */
export interface Goodbye {
  code: string;
  message: string;
}
