//! The shards' sockets: consecutive ports with buffers that survive a thousand joins at once.

use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::udp::NetError;

/// Asked for in each direction. The default of most systems loses most of a 1,000-client join.
const BUFFER_BYTES_WANTED: usize = 4 * 1024 * 1024;

/// What the kernel charges to a buffer for one small datagram, and how many of a client's must fit while its
/// shard is busy: those of one tick, state and acks.
const BUFFER_BYTES_PER_CLIENT: usize = 2 * 768;

/// How often a free range of consecutive ports is looked for.
const RANGE_ATTEMPTS: usize = 64;

/// One socket per shard on consecutive ports, from `listen`'s port on or, if that is 0, anywhere free.
pub(super) fn bind_range(listen: SocketAddr, shards: u16) -> Result<Vec<UdpSocket>, NetError> {
    if listen.port() != 0 {
        return bind_from(listen, shards);
    }
    let mut last = None;
    for _ in 0..RANGE_ATTEMPTS {
        let first = bind(listen)?;
        let begin = first.local_addr().map_err(|error| NetError::Bind { address: listen, error })?;
        // Released and bound again at once: the range as a whole is what must be free.
        drop(first);
        match bind_from(begin, shards) {
            Ok(sockets) => return Ok(sockets),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(NetError::NoRange { shards }))
}

fn bind_from(begin: SocketAddr, shards: u16) -> Result<Vec<UdpSocket>, NetError> {
    (0..shards).map(|shard| bind(at_port(begin, shard)?)).collect()
}

/// The address of a shard: the port counts up.
pub(super) fn at_port(begin: SocketAddr, shard: u16) -> Result<SocketAddr, NetError> {
    let port = begin.port().checked_add(shard).ok_or(NetError::NoRange { shards: shard + 1 })?;
    Ok(SocketAddr::new(begin.ip(), port))
}

fn bind(address: SocketAddr) -> Result<UdpSocket, NetError> {
    let bind = || -> std::io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        Ok(socket.into())
    };
    bind().map_err(|error| NetError::Bind { address, error })
}

/// Asks for large buffers and looks at what was given: less is a warning, too little for the shard's clients
/// is an error.
pub(super) fn size_buffers(socket: &UdpSocket, clients: usize) -> Result<(), NetError> {
    let socket = SockRef::from(socket);
    let sizes = || -> std::io::Result<[(usize, &'static str); 2]> {
        socket.set_recv_buffer_size(BUFFER_BYTES_WANTED)?;
        socket.set_send_buffer_size(BUFFER_BYTES_WANTED)?;
        Ok([
            (socket.recv_buffer_size()?, "net.core.rmem_max"),
            (socket.send_buffer_size()?, "net.core.wmem_max"),
        ])
    };
    for (bytes, sysctl) in sizes().map_err(|error| NetError::Buffers { error })? {
        judge_buffer(bytes, sysctl, clients)?;
    }
    Ok(())
}

fn judge_buffer(bytes: usize, sysctl: &'static str, clients: usize) -> Result<(), NetError> {
    let needed = clients * BUFFER_BYTES_PER_CLIENT;
    if bytes < needed {
        return Err(NetError::SmallBuffers { bytes, needed, clients, sysctl, wanted: BUFFER_BYTES_WANTED });
    }
    // Linux doubles what it was asked for, for its own book-keeping, and tells the doubled number.
    let granted = if cfg!(target_os = "linux") { bytes / 2 } else { bytes };
    if granted < BUFFER_BYTES_WANTED {
        tracing::warn!(
            "a socket buffer has {granted} bytes instead of {BUFFER_BYTES_WANTED}: joins of many clients at \
             once will lose packets; run `sysctl -w {sysctl}={BUFFER_BYTES_WANTED}`"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A11: one UDP port range.
    #[test]
    fn port_zero_finds_a_free_consecutive_range() {
        let sockets = bind_range("127.0.0.1:0".parse().unwrap(), 4).unwrap();
        let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert!(ports.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ports:?}");
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let message = bind_range(address, 1).unwrap_err().to_string();
        assert!(message.contains(&address.to_string()), "{message}");
    }

    #[test]
    fn buffers_too_small_for_the_players_are_refused_with_the_sysctl_named() {
        assert!(judge_buffer(212_992, "net.core.rmem_max", 100).is_ok(), "small but enough: a warning");
        let message = judge_buffer(212_992, "net.core.rmem_max", 1_000).unwrap_err().to_string();
        assert!(message.contains("net.core.rmem_max"), "{message}");
    }
}
