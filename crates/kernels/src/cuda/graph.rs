//! CUDA graphs: work that was asked for on a stream, kept to be started as a whole.

use std::cell::Cell;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUgraphInstantiate_flags, CUgraphNodeType, CUstreamCaptureMode};
use cudarc::driver::{CudaGraph, CudaStream, DriverError};

use super::error::{Error, Result, driver};

/// The environment variable that says whether CUDA graphs are used: `on` or `off`.
///
/// Off unless it is set, because no card has run them yet; docs/cuda.md says what is to be seen first.
const SWITCH: &str = "CANDLING_CUDA_GRAPHS";

/// Whether graphs are used on a card, and how often they were.
#[derive(Debug)]
pub struct Graphs {
    on: Cell<bool>,
    started: Cell<usize>,
}

/// Recorded work.
pub struct Graph(CudaGraph);

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

impl Graphs {
    /// As the environment says.
    pub(crate) fn from_environment() -> Self {
        let on = match std::env::var(SWITCH).as_deref() {
            Ok("on") => true,
            Ok("off" | "") | Err(_) => false,
            Ok(other) => {
                artifacts::progress::line(&format!("{SWITCH} is `{other}`, and must be `on` or `off`: taken as `off`"));
                false
            }
        };
        Self { on: Cell::new(on), started: Cell::new(0) }
    }

    /// From now on used or not.
    #[cfg(feature = "emulation")]
    pub fn turn(&self, on: bool) {
        self.on.set(on);
    }

    /// Whether they are used: after a failure they are not.
    #[cfg(feature = "emulation")]
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.on.get()
    }

    /// How many graphs have been started.
    #[cfg(feature = "emulation")]
    #[must_use]
    pub fn started(&self) -> usize {
        self.started.get()
    }

    /// What `work` asks for on `stream`, instead of doing it; nothing where graphs are off.
    ///
    /// # Errors
    /// `work` failed, asks for what cannot be recorded, or what is not the same each time. Nothing has been done then, and
    /// graphs are off from now on, so that one failure is not complained of for every walk and shape.
    pub(crate) fn record(
        &self,
        stream: &Arc<CudaStream>,
        work: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Graph>> {
        if !self.on.replace(false) {
            return Ok(None);
        }
        let refused = driver("record a CUDA graph");
        // Memory that a library allocates and frees meanwhile would leave its address in the graph. This mode makes that an
        // error; what libraries keep they have allocated the first time.
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        stream.begin_capture(mode).map_err(&refused)?;
        let asked = work();
        // In any case, for only then the stream does its work again.
        let graph = stream.end_capture(CUgraphInstantiate_flags(0)).map_err(&refused);
        asked?;
        let Some(graph) = graph? else { return Ok(None) };
        for kind in kinds(&graph).map_err(&refused)? {
            if !is_the_same_each_time(kind) {
                return Err(Error::Driver {
                    what: "record a CUDA graph".to_owned(),
                    message: format!("it would hold a node of the kind {kind:?}"),
                });
            }
        }
        // Whatever the card has to make room for fails here, and not in a step.
        graph.upload().map_err(&refused)?;
        self.on.set(true);
        Ok(Some(Graph(graph)))
    }

    /// Starts what was recorded.
    pub(crate) fn start(&self, Graph(graph): &Graph) -> Result<()> {
        self.started.set(self.started.get() + 1);
        graph.launch().map_err(driver("start a CUDA graph"))
    }
}

/// Kernels and fills have all they need in the graph. A copy may read host memory again that is another's by then, and
/// memory that is allocated within a graph must be freed within it.
fn is_the_same_each_time(kind: CUgraphNodeType) -> bool {
    use CUgraphNodeType::{CU_GRAPH_NODE_TYPE_EMPTY, CU_GRAPH_NODE_TYPE_KERNEL, CU_GRAPH_NODE_TYPE_MEMSET};
    matches!(kind, CU_GRAPH_NODE_TYPE_KERNEL | CU_GRAPH_NODE_TYPE_MEMSET | CU_GRAPH_NODE_TYPE_EMPTY)
}

/// The kinds of all nodes.
#[expect(unsafe_code, reason = "the driver is C")]
fn kinds(graph: &CudaGraph) -> std::result::Result<Vec<CUgraphNodeType>, DriverError> {
    let mut count = 0;
    // SAFETY: the graph is live; without a list the driver says how many nodes there are.
    unsafe { sys::cuGraphGetNodes(graph.cu_graph(), std::ptr::null_mut(), &mut count) }.result()?;
    let mut nodes = vec![std::ptr::null_mut(); count];
    // SAFETY: there is room for `count` of them.
    unsafe { sys::cuGraphGetNodes(graph.cu_graph(), nodes.as_mut_ptr(), &mut count) }.result()?;
    let kind = |&node: &sys::CUgraphNode| {
        let mut kind = CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY;
        // SAFETY: the node is one of a live graph.
        unsafe { sys::cuGraphNodeGetType(node, &mut kind) }.result()?;
        Ok(kind)
    };
    nodes.iter().take(count).map(kind).collect()
}
