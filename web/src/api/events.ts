/** Server-sent events, read from a fetch: unlike EventSource it can send an access key and reports why it failed. */
export interface ServerEvent {
  readonly id: string | null
  readonly name: string
  readonly data: string
}

/** Yields events as the WHATWG standard parses them; `onBytes` is called for every chunk, comments included. */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void = () => {},
): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let text = ''
  let id: string | null = null
  let name = 'message'
  let data: string[] = []
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      onBytes()
      text += value
      // A carriage return at the end may be half of a line break.
      const lines = text.split(/\r\n|\n|\r(?!$)/)
      text = lines.pop() ?? ''
      for (const line of lines) {
        if (line === '') {
          if (data.length) yield { id, name, data: data.join('\n') }
          name = 'message'
          data = []
          continue
        }
        const colon = line.indexOf(':')
        const field = colon < 0 ? line : line.slice(0, colon)
        const content = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
        if (field === 'event') name = content
        else if (field === 'data') data.push(content)
        else if (field === 'id') id = content
      }
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}
