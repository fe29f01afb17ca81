/** What of a process's standard streams a terminal is made of. */
export interface TerminalStreams {
  readonly stdout: TerminalStream;
  readonly stderr: TerminalStream;
}

interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Where a program shows lines to people: those that stay, and below them one that is written over and over. */
export interface Terminal {
  /** Writes a line to standard output or error, above the status line. */
  readonly print: (stderr: boolean, line: string) => void;
  readonly statusLine: {
    /** Shows a line in the place of the last one; nothing where standard error is no terminal. */
    readonly show: (line: string) => void;
    /** Shows a line for good. */
    readonly end: (line: string) => void;
  };
}

/** Back to the first column, and everything from there on is gone. */
const ERASE = "\r\u001b[K";
const COLUMNS_DEFAULT = 80;

/** The terminal of this process. `streams`: looked at when they are first needed, since making them takes time. */
export function openTerminal(streams: () => TerminalStreams = () => process): Terminal {
  let status = "";
  const draw = (line: string): void => {
    const { stderr } = streams();
    status = line.slice(0, (stderr.columns ?? COLUMNS_DEFAULT) - 1);
    stderr.write(`${ERASE}${status}`);
  };
  return {
    print: (isError, line) => {
      const { stdout, stderr } = streams();
      if (status !== "") stderr.write(ERASE);
      (isError ? stderr : stdout).write(`${line}\n`);
      if (status !== "") stderr.write(status);
    },
    statusLine: {
      show: (line) => {
        if (streams().stderr.isTTY === true) draw(line);
      },
      end: (line) => {
        const { stderr } = streams();
        stderr.write(`${status === "" ? "" : ERASE}${line}\n`);
        status = "";
      },
    },
  };
}
