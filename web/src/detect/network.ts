/**
 * Runs a small TensorFlow Lite network (float16 weights, the nine operators that BlazeFace is made of) on plain typed
 * arrays.
 *
 * The package that ships the model brings 6 MB of WebAssembly whose glue code calls `new Function`, which a strict
 * content security policy forbids. This needs neither, nor a GPU that the video encoder may be using.
 */
import { Table } from './flatbuffer'

/** Values by [height, width, channel]; vectors have height and width of one. */
export interface Tensor {
  readonly data: Float32Array
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** Operator numbers of the TensorFlow Lite schema. */
const ADD = 0
const CONCATENATION = 2
const CONV_2D = 3
const DEPTHWISE_CONV_2D = 4
const DEQUANTIZE = 6
const MAX_POOL_2D = 17
const RELU = 19
const RESHAPE = 22
const PAD = 34
const FLOAT16 = 1
const SAME_PADDING = 0

interface Operator {
  readonly code: number
  readonly inputs: readonly number[]
  readonly output: number
  readonly stride: number
  readonly samePadding: boolean
}

interface Shape {
  readonly shape: readonly number[]
}

export class Network {
  private constructor(
    private readonly operators: readonly Operator[],
    private readonly constants: ReadonlyMap<number, Float32Array>,
    private readonly shapes: readonly Shape[],
    private readonly input: number,
    private readonly outputs: readonly number[],
  ) {}

  /** Throws where the file is not such a model. */
  static read(file: ArrayBuffer): Network {
    const model = Table.root(new DataView(file))
    const [graph] = model.tables(2)
    if (!graph) throw new Error('the model has no graph')
    const codes = model.tables(1).map((code) => Math.max(code.byte(0), code.integer(3)))
    const buffers = model.tables(4)
    const tensors = graph.tables(0)
    const constants = new Map<number, Float32Array>()
    tensors.forEach((tensor, index) => {
      const bytes = buffers[tensor.integer(2)]?.bytes(0)
      if (bytes?.length && tensor.byte(1) === FLOAT16) constants.set(index, fromHalves(bytes))
    })
    const operators: Operator[] = []
    for (const table of graph.tables(3)) {
      const code = codes[table.integer(0)] ?? -1
      const inputs = table.integers(1)
      const output = table.integers(2)[0] ?? -1
      const options = table.table(4)
      if (code === DEQUANTIZE) {
        const constant = constants.get(inputs[0] ?? -1)
        if (!constant) throw new Error('the model dequantizes something that is not a constant')
        constants.set(output, constant)
      } else {
        operators.push({
          code,
          inputs,
          output,
          stride:
            options && (code === CONV_2D || code === DEPTHWISE_CONV_2D || code === MAX_POOL_2D)
              ? options.integer(2, 1)
              : 1,
          samePadding: options?.byte(0) === SAME_PADDING,
        })
      }
    }
    const shapes = tensors.map((tensor) => ({ shape: tensor.integers(0) }))
    return new Network(operators, constants, shapes, graph.integers(1)[0] ?? -1, graph.integers(2))
  }

  /** The network's outputs for one picture, in the order that the model declares. */
  run(picture: Tensor): Tensor[] {
    const values = new Map<number, Tensor>([[this.input, picture]])
    const value = (index: number | undefined): Tensor => {
      const found = values.get(index ?? -1)
      if (!found) throw new Error('the model uses a value before it is made')
      return found
    }
    const constant = (index: number | undefined): Float32Array => {
      const found = this.constants.get(index ?? -1)
      if (!found) throw new Error('the model lacks weights')
      return found
    }
    for (const { code, inputs, output, stride } of this.operators) {
      const [a, b, c] = inputs
      switch (code) {
        case CONV_2D:
          values.set(output, convolve(value(a), constant(b), constant(c), this.side(b), stride))
          break
        case DEPTHWISE_CONV_2D:
          values.set(output, convolveEach(value(a), constant(b), constant(c), this.side(b), stride))
          break
        case MAX_POOL_2D:
          values.set(output, poolByTwo(value(a)))
          break
        case ADD:
          values.set(output, add(value(a), value(b)))
          break
        case RELU:
          values.set(output, rectify(value(a)))
          break
        case PAD:
          values.set(output, padChannels(value(a), this.shapes[output]?.shape[3] ?? 0))
          break
        case RESHAPE:
          values.set(output, value(a))
          break
        case CONCATENATION:
          values.set(output, join(value(a), value(b)))
          break
        default:
          throw new Error(`the model uses operator ${code}, which is not known here`)
      }
    }
    return this.outputs.map(value)
  }

  /** The side of a kernel: weights are [out, height, width, in]. */
  private side(weights: number | undefined): number {
    return this.shapes[weights ?? -1]?.shape[1] ?? 1
  }
}

/** IEEE half precision, two bytes a value, little-endian. */
function fromHalves(bytes: Uint8Array): Float32Array {
  const out = new Float32Array(bytes.length / 2)
  for (let i = 0; i < out.length; i++) {
    const half = (bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8)
    const exponent = (half >> 10) & 31
    const fraction = half & 1023
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14
    out[i] = half & 0x8000 ? -size : size
  }
  return out
}

/** "Same" padding puts the odd pixel at the bottom right. */
function before(input: number, output: number, kernel: number, stride: number): number {
  return Math.max(0, (output - 1) * stride + kernel - input) >> 1
}

/** Weights are [out, height, width, in]. */
function convolve(input: Tensor, weights: Float32Array, bias: Float32Array, kernel: number, stride: number): Tensor {
  const inputs = input.channels
  const channels = bias.length
  const height = Math.ceil(input.height / stride)
  const width = Math.ceil(input.width / stride)
  const top = before(input.height, height, kernel, stride)
  const left = before(input.width, width, kernel, stride)
  const size = kernel * kernel * inputs
  const patch = new Float32Array(size)
  const out = new Float32Array(height * width * channels)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (kernel > 1) patch.fill(0)
      for (let ky = 0; ky < kernel; ky++) {
        const fromY = y * stride + ky - top
        if (fromY < 0 || fromY >= input.height) continue
        const firstX = Math.max(0, left - x * stride)
        const lastX = Math.min(kernel, input.width + left - x * stride)
        let read = (fromY * input.width + x * stride + firstX - left) * inputs
        for (let to = (ky * kernel + firstX) * inputs; to < (ky * kernel + lastX) * inputs;)
          patch[to++] = input.data[read++]!
      }
      products(patch, weights, bias, out, (y * width + x) * channels)
    }
  }
  return { data: out, height, width, channels }
}

/** One pixel's sums, four channels a pass: a single running sum would wait for every addition before the next. */
function products(
  patch: Float32Array,
  weights: Float32Array,
  bias: Float32Array,
  out: Float32Array,
  write: number,
): void {
  const size = patch.length
  const channels = bias.length
  let o = 0
  for (; o + 4 <= channels; o += 4) {
    let at = o * size
    let a = bias[o]!
    let b = bias[o + 1]!
    let c = bias[o + 2]!
    let d = bias[o + 3]!
    for (let i = 0; i < size; i++, at++) {
      const value = patch[i]!
      a += value * weights[at]!
      b += value * weights[at + size]!
      c += value * weights[at + 2 * size]!
      d += value * weights[at + 3 * size]!
    }
    out[write + o] = a
    out[write + o + 1] = b
    out[write + o + 2] = c
    out[write + o + 3] = d
  }
  for (; o < channels; o++) {
    let sum = bias[o]!
    for (let i = 0; i < size; i++) sum += patch[i]! * weights[o * size + i]!
    out[write + o] = sum
  }
}

/** Each channel by itself; weights are [1, height, width, channel]. */
function convolveEach(
  input: Tensor,
  weights: Float32Array,
  bias: Float32Array,
  kernel: number,
  stride: number,
): Tensor {
  const { channels, data: from } = input
  const height = Math.ceil(input.height / stride)
  const width = Math.ceil(input.width / stride)
  const top = before(input.height, height, kernel, stride)
  const left = before(input.width, width, kernel, stride)
  const out = new Float32Array(height * width * channels)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const first = (y * width + x) * channels
      out.set(bias, first)
      for (let ky = 0; ky < kernel; ky++) {
        const fromY = y * stride + ky - top
        if (fromY < 0 || fromY >= input.height) continue
        for (let kx = 0; kx < kernel; kx++) {
          const fromX = x * stride + kx - left
          if (fromX < 0 || fromX >= input.width) continue
          let read = (fromY * input.width + fromX) * channels
          let weight = (ky * kernel + kx) * channels
          for (let write = first; write < first + channels; write++) out[write]! += from[read++]! * weights[weight++]!
        }
      }
    }
  }
  return { data: out, height, width, channels }
}

function poolByTwo({ data, height, width, channels }: Tensor): Tensor {
  const row = width * channels
  const out = new Float32Array(data.length / 4)
  let write = 0
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      let read = y * row + x * channels
      for (let c = 0; c < channels; c++, read++) {
        out[write++] = Math.max(data[read]!, data[read + channels]!, data[read + row]!, data[read + row + channels]!)
      }
    }
  }
  return { data: out, height: height / 2, width: width / 2, channels }
}

function add(a: Tensor, b: Tensor): Tensor {
  const data = new Float32Array(a.data.length)
  for (let i = 0; i < data.length; i++) data[i] = a.data[i]! + b.data[i]!
  return { ...a, data }
}

function rectify(input: Tensor): Tensor {
  const data = new Float32Array(input.data.length)
  for (let i = 0; i < data.length; i++) data[i] = Math.max(0, input.data[i]!)
  return { ...input, data }
}

function padChannels({ data, height, width, channels }: Tensor, wanted: number): Tensor {
  const out = new Float32Array(height * width * wanted)
  for (let p = 0; p < height * width; p++) out.set(data.subarray(p * channels, (p + 1) * channels), p * wanted)
  return { data: out, height, width, channels: wanted }
}

function join(a: Tensor, b: Tensor): Tensor {
  const data = new Float32Array(a.data.length + b.data.length)
  data.set(a.data)
  data.set(b.data, a.data.length)
  return { data, height: 1, width: 1, channels: data.length }
}
