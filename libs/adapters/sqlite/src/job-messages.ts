/** What a job store and its thread say to each other. */
import type { JobChange, PieceName } from "@heddle/port-job-store";
import type { AnyAnswer, AnyRequest, Note, Some } from "./messages.ts";

/** What is read as a store is recovered: a job comes before its pieces, jobs and pieces in order; code has its hash for what is said of it. */
export type JobRow =
  | {
      readonly type: "job";
      readonly id: string;
      readonly isEnded: boolean;
      readonly spec: Uint8Array;
      readonly note: Uint8Array | undefined;
    }
  | {
      readonly type: "input" | "answer" | "code";
      readonly number: number;
      readonly about: Uint8Array;
      readonly size: number;
    }
  | { readonly type: "history"; readonly entry: Uint8Array };

export type JobRequest =
  | AnyRequest
  /** Gives what is kept. Nothing else comes until the last of it was given. */
  | { readonly type: "recover" }
  /** Gives further rows. */
  | { readonly type: "recover-on" }
  /** Makes all changes or none. Of the history so many entries stay. */
  | { readonly type: "commit"; readonly changes: readonly JobChange[]; readonly historyMax: number }
  /** Gives the bytes of something. */
  | { readonly type: "read"; readonly name: PieceName };

export type JobAnswer =
  | AnyAnswer
  | { readonly type: "opened"; readonly bytes: number; readonly notes: readonly Note[] }
  | ({ readonly type: "rows" } & Some<JobRow>)
  /** How many bytes are kept now. */
  | { readonly type: "committed"; readonly bytes: number }
  | { readonly type: "piece"; readonly bytes: Uint8Array<ArrayBuffer> | undefined };
