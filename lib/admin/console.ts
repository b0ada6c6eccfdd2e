/**
 * How admin commands speak to an operator or a script: results go to standard output, questions and progress to standard
 * error, and answers and passwords come from standard input.
 *
 * @module
 */
import { EXIT, FatalError } from "../base/errors.ts";
import { printable } from "../base/printable.ts";

const BAR_WIDTH = 24;
/** A bar is drawn no more often, ms. */
const DRAW_MS = 100;

const encoder = new TextEncoder();

/** How far long work is. */
export interface Progress {
  /** So much is done; `total`: of so much, if that has changed; 0: nobody knows. */
  at(done: number, total?: number): void;
  /** It is over. */
  end(): void;
}

/** Standard input and output. */
export class Console {
  /** Somebody can answer questions. */
  readonly isInteractive: boolean = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();

  /** Prints a line. Waits until it is taken: what a pipe's reader is slow to read is not lost. */
  print(line: string): void {
    try {
      writeAll(Deno.stdout, `${line}\n`);
    } catch (error) {
      // Whoever read has enough.
      if (error instanceof Deno.errors.BrokenPipe) {
        throw new FatalError(EXIT.failure, "Nobody reads the output");
      }
      throw error;
    }
  }

  /** The lines of standard input. */
  async *lines(): AsyncGenerator<string> {
    yield* linesOf(Deno.stdin.readable);
  }

  /** The lines of a file. */
  async *linesOfFile(path: string): AsyncGenerator<string> {
    let file: Deno.FsFile;
    try {
      file = await Deno.open(path);
    } catch (error) {
      throw new FatalError(EXIT.config, `Cannot read ${JSON.stringify(path)}`, { cause: error });
    }
    yield* linesOf(file.readable);
  }

  /** A line that is typed behind `prompt`. To be called only where somebody can answer. */
  ask(prompt: string): string {
    writeAll(Deno.stderr, prompt);
    return readLine();
  }

  /** The same, unseen. */
  askUnseen(prompt: string): string {
    writeAll(Deno.stderr, prompt);
    Deno.stdin.setRaw(true);
    try {
      return readLine({ isRaw: true });
    } finally {
      Deno.stdin.setRaw(false);
      writeAll(Deno.stderr, "\n");
    }
  }

  /** A bar for `label`, where somebody sees it. */
  progress(label: string): Progress {
    if (!Deno.stderr.isTerminal()) return { at() {}, end() {} };
    let drawnAt = -Infinity;
    let [done, total] = [0, 0];
    const draw = () => {
      if (total === 0) return writeAll(Deno.stderr, `\r${label}: ${done}\x1b[K`);
      const share = total > 0 ? Math.min(1, done / total) : 0;
      const full = Math.round(share * BAR_WIDTH);
      const bar = "#".repeat(full) + "-".repeat(BAR_WIDTH - full);
      writeAll(Deno.stderr, `\r${label} [${bar}] ${Math.floor(100 * share)}% ${done} of ${total}\x1b[K`);
    };
    return {
      at(nowDone, nowTotal = total) {
        [done, total] = [nowDone, nowTotal];
        if (performance.now() - drawnAt < DRAW_MS) return;
        drawnAt = performance.now();
        draw();
      },
      end: () => writeAll(Deno.stderr, "\r\x1b[K"),
    };
  }
}

function writeAll(sink: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  for (let offset = 0; offset < bytes.length;) offset += sink.writeSync(bytes.subarray(offset));
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  if (rest !== "") yield rest;
}

/** Reads byte by byte up to the end of the line. Throws a FatalError at the end of the input, and at Ctrl-C in raw mode. */
function readLine({ isRaw = false } = {}): string {
  const bytes: number[] = [];
  const buffer = new Uint8Array(1);
  for (;;) {
    const [byte = 0] = Deno.stdin.readSync(buffer) === null ? [4] : buffer;
    if (byte === 3 || (byte === 4 && bytes.length === 0)) {
      throw new FatalError(EXIT.failure, "Nothing was done");
    }
    if (byte === 10 || byte === 13 || byte === 4) return new TextDecoder().decode(new Uint8Array(bytes));
    const isErase = isRaw && (byte === 8 || byte === 127);
    if (!isErase) bytes.push(byte);
    // With the rest of the character, if it has several bytes.
    else while (((bytes.pop() ?? 0) & 0xc0) === 0x80);
  }
}

/** Rows as lines, a column below the other; `head` stands above where there are any. */
export function tableLines(head: readonly string[], rows: readonly (readonly unknown[])[]): string[] {
  const texts = rows.map((row) => row.map((value) => value === null ? "" : printable(String(value))));
  if (texts.length === 0) return [];
  const all = [head, ...texts];
  const widths = head.map((_, column) =>
    all.reduce((width, row) => Math.max(width, [...row[column] ?? ""].length), 0)
  );
  return all.map((row) =>
    row.map((text, column) => text + " ".repeat((widths[column] ?? 0) - [...text].length)).join("  ")
      .trimEnd()
  );
}
