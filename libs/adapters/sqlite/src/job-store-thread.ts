/** The thread in which a job store waits for its disk. Loads nothing but Node and what lies beside it. */
import { Damage } from "./damage.ts";
import { JobDatabase } from "./job-database.ts";
import type { JobAnswer, JobRequest } from "./job-messages.ts";
import { serve } from "./serve.ts";

serve<JobRequest, JobAnswer>((place) => {
  const database = new JobDatabase(place);
  return {
    database,
    opened: { type: "opened", bytes: database.bytes, notes: database.notes },
    answer: (request) => answerTo(database, request),
    isReading: ({ type }) => type !== "commit" && type !== "close",
    // bytes of one piece are wrong: SQLite finds the database whole
    isAlone: ({ type }, error) => type === "read" && error instanceof Damage,
    transferOf: (answer) => (answer.type === "piece" && answer.bytes !== undefined ? [answer.bytes.buffer] : []),
  };
});

function answerTo(database: JobDatabase, request: JobRequest): JobAnswer {
  switch (request.type) {
    case "recover":
      return { type: "rows", ...database.recover() };
    case "recover-on":
      return { type: "rows", ...database.recoverOn() };
    case "commit":
      database.commit(request.changes, request.historyMax);
      return { type: "committed", bytes: database.bytes };
    case "read":
      return { type: "piece", bytes: database.read(request.name) };
    case "close":
      database.close();
      return { type: "done" };
  }
}
