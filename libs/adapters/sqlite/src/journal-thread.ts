/** The thread in which a journal waits for its disk. Loads nothing but Node and what lies beside it. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { JournalDatabase } from "./database.ts";
import { CHECKPOINT_IDLE_MS } from "./limits.ts";
import type { Answer, ErrorKind, Request, ThreadOptions } from "./messages.ts";
import { kindOf } from "./sqlite-errors.ts";

type ErrorAnswer = Answer & { readonly type: "error" };

if (parentPort === null) throw new Error("this is the thread of a journal, not a program");
const port = parentPort;
const { directory, bytesMax, signal } = workerData as ThreadOptions;

/** Set once an outcome is unknown: nothing is tried any more. */
let failure: ErrorAnswer | undefined;

try {
  const database = new JournalDatabase(directory, bytesMax);
  say({ type: "opened", position: database.position, notes: database.notes });
  serve(database);
} catch (error) {
  say(inWords(error));
}

/** Answers until it is told to close. Waits without an event loop: going to sleep and waking up takes half as long. */
function serve(database: JournalDatabase): void {
  for (let isOpen = true; isOpen; ) {
    const seen = Atomics.load(signal, 0);
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      const request = next.message as Request;
      isOpen &&= request.type !== "close";
      say(failure ?? answer(database, request));
      if (database.needsCheckpoint) tidy(database);
    }
    if (!isOpen) return;
    const isIdle =
      Atomics.wait(signal, 0, seen, database.wantsCheckpoint ? CHECKPOINT_IDLE_MS : Infinity) === "timed-out";
    if (isIdle) tidy(database);
  }
}

function say(answer: Answer): void {
  port.postMessage(answer, answer.type === "rows" ? answer.rows.map(({ frames }) => frames.buffer) : []);
}

function answer(database: JournalDatabase, request: Request): Answer {
  try {
    return answerTo(database, request);
  } catch (error) {
    const words = inWords(error);
    if (words.kind === "full") return words;
    const isFound = words.kind === "damaged" && /^read/.test(request.type); // else it was being written: nobody knows what is there
    return fail(isFound ? "damaged" : "failed", words.message);
  }
}

function answerTo(database: JournalDatabase, request: Request): Answer {
  switch (request.type) {
    case "append":
      database.append(request.rows);
      return { type: "done" };
    case "read":
      return { type: "rows", ...database.read(request.from) };
    case "read-on":
      return { type: "rows", ...database.readOn() };
    case "truncate":
      return { type: "truncated", isAll: database.truncate(request.upTo) };
    case "count":
      return { type: "counted", bytes: database.bytesAfter(request.after) };
    case "close":
      database.close();
      return { type: "done" };
  }
}

/** Nobody asked: an error is for whoever asks next. */
function tidy(database: JournalDatabase): void {
  if (failure !== undefined) return;
  try {
    database.checkpoint();
  } catch (error) {
    fail("failed", inWords(error).message);
  }
}

function fail(kind: ErrorKind, message: string): ErrorAnswer {
  const words: ErrorAnswer = { type: "error", kind, message };
  failure = words;
  return words;
}

function inWords(error: unknown): ErrorAnswer {
  return { type: "error", kind: kindOf(error), message: error instanceof Error ? error.message : String(error) };
}
