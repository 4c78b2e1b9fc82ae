import { describe, expect, it } from 'vitest'
import { readEvents, type ServerEvent } from './events'

const body = (chunks: readonly string[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk))
      controller.close()
    },
  })

const collect = async (...chunks: string[]): Promise<ServerEvent[]> => {
  const events: ServerEvent[] = []
  for await (const event of readEvents(body(chunks))) events.push(event)
  return events
}

describe('server-sent events', () => {
  it('have a name, data and an id that lasts', async () => {
    expect(await collect('id: 1-0\nevent: state\ndata: {"a":1}\n\ndata: x\n\n')).toEqual([
      { id: '1-0', name: 'state', data: '{"a":1}' },
      { id: '1-0', name: 'message', data: 'x' },
    ])
  })

  it('may arrive in pieces, cut anywhere', async () => {
    const text = 'id: 1-0\r\nevent: vital\r\ndata: {"name":"ü"}\r\n\r\n'
    expect(await collect(...text)).toEqual([{ id: '1-0', name: 'vital', data: '{"name":"ü"}' }])
  })

  it('may span lines, and comments are not events', async () => {
    expect(await collect(': ping\n\ndata: a\ndata: b\n\n: ping\n\n')).toEqual([
      { id: null, name: 'message', data: 'a\nb' },
    ])
  })

  it('are dropped when they break off', async () => {
    expect(await collect('data: whole\n\ndata: half')).toHaveLength(1)
  })
})
